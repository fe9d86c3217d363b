"""Writes checkpoint folders of the true shapes of published models that hold headers only: the weights are holes of sparse files.

    python3 headers_only.py NAME DIR      NAME: nano-bf16 nano-nvfp4 super-bf16 super-nvfp4 ultra-bf16 lightning-bf16

For `nemotron inspect`, for start-up times, and for planning; there is nothing to compute with in them.
"""
import json, math, os, struct, sys

NANO = 'MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME'
SUPER = 'MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME'
ULTRA = ('MEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME')
SIZES = {'BF16': 2, 'F32': 4, 'U8': 1, 'F8_E4M3': 1}

COMMON = dict(architectures=['NemotronHForCausalLM'], model_type='nemotron_h', vocab_size=131072, head_dim=128, num_key_value_heads=2,
              attention_bias=False, mlp_bias=False, use_bias=False, mamba_proj_bias=False, use_conv_bias=True, mamba_head_dim=64, n_groups=8,
              ssm_state_size=128, conv_kernel=4, chunk_size=128, expand=2, n_shared_experts=1, n_group=1, topk_group=1, norm_topk_prob=True,
              mlp_hidden_act='relu2', mamba_hidden_act='silu', layer_norm_epsilon=1e-5, norm_eps=1e-5, residual_in_fp32=False,
              tie_word_embeddings=False, time_step_min=0.001, time_step_max=0.1, time_step_floor=1e-4, rope_theta=10000,
              partial_rotary_factor=1.0, sliding_window=None, max_position_embeddings=262144, mamba_ssm_cache_dtype='float32',
              bos_token_id=1, eos_token_id=2, pad_token_id=0, dtype='bfloat16')
NANO_SIZES = dict(hidden_size=2688, num_attention_heads=32, mamba_num_heads=64, n_routed_experts=128, num_experts_per_tok=6,
                  moe_intermediate_size=1856, moe_shared_expert_intermediate_size=3712, intermediate_size=1856, routed_scaling_factor=2.5)
MODELS = {
    'nano': dict(COMMON, **NANO_SIZES, hybrid_override_pattern=NANO, num_hidden_layers=52),
    'super': dict(COMMON, hidden_size=4096, num_attention_heads=32, mamba_num_heads=128, n_routed_experts=512, num_experts_per_tok=22,
                  moe_intermediate_size=2688, moe_shared_expert_intermediate_size=5376, moe_latent_size=1024, intermediate_size=2688,
                  routed_scaling_factor=5.0, hybrid_override_pattern=SUPER, num_hidden_layers=88, num_nextn_predict_layers=1,
                  mtp_hybrid_override_pattern='*E', moe_shared_expert_overlap=False),
    'ultra': dict(COMMON, hidden_size=8192, num_attention_heads=64, mamba_num_heads=256, n_routed_experts=512, num_experts_per_tok=22,
                  moe_intermediate_size=5120, moe_shared_expert_intermediate_size=10240, moe_latent_size=2048, routed_scaling_factor=5.0,
                  layers_block_type=[{'M': 'mamba', 'E': 'moe', '*': 'attention'}[s] for s in ULTRA], num_nextn_predict_layers=1,
                  mtp_layers_block_type=['attention', 'moe']),
}
MODELS['lightning'] = dict(MODELS['nano'], max_position_embeddings=1048576, num_nextn_predict_layers=1,
                           layers_block_type=[{'M': 'mamba', 'E': 'moe', '*': 'attention'}[s] for s in NANO],
                           mtp_layers_block_type=['attention', 'moe'])
del MODELS['lightning']['hybrid_override_pattern']

# Super NVFP4: which layers' modules are FP8 (spec: the release's own quantization_config); experts are NVFP4, the rest BF16.
SUPER_FP8 = {
    'in_proj': [0, 2, 4, 6, 9, 11, 13, 15, 18, 20, 27, 29, 31, 40, 49, 51, 53, 55, 57, 60, 62, 66, 68, 71, 73, 82, 84, 86],
    'out_proj': [0, 2, 4, 9, 11, 13, 18, 38, 40, 42, 44, 49, 51, 53, 55, 57, 60, 62, 64, 66, 68, 71, 73, 75, 77, 80, 82, 84, 86],
    'shared_experts.up_proj': [i for i, s in enumerate(SUPER) if s == 'E' and i != 41],
    'shared_experts.down_proj': [i for i, s in enumerate(SUPER) if s == 'E' and i not in (1, 8, 76)],
    'fc1_latent_proj': [1, 3, 5], 'fc2_latent_proj': [3], 'o_proj': [69, 78]}
SUPER_NVFP4 = {'shared_experts.down_proj': [1]}
NANO_BF16_MAMBA = [i for i in range(51) if NANO[i] == 'M' and NANO[i + 1] == '*']


def super_format(layer, module):
    if module.startswith('experts.') or layer in SUPER_NVFP4.get(module, []): return 'NVFP4'
    return 'FP8' if layer in SUPER_FP8.get(module, []) else 'BF16'


def nano_format(layer, module):
    if module in ('in_proj', 'out_proj'): return 'BF16' if layer in NANO_BF16_MAMBA else 'NVFP4'
    return 'NVFP4' if 'experts.' in module else 'BF16'


class Folder:
    """The tensors of a model as (name, dtype, shape), and what its quantizer says of its modules."""

    def __init__(self, config, pattern, format_of=lambda layer, module: 'BF16', gate='BF16', kv_scales=False):
        self.c, self.format_of, self.gate, self.kv_scales = config, format_of, gate, kv_scales
        self.tensors, self.quantized = [], {}
        H, V = config['hidden_size'], config['vocab_size']
        self.add('backbone.embeddings.weight', 'BF16', V, H)
        for i, symbol in enumerate(pattern): self.layer(f'backbone.layers.{i}.', symbol, i)
        self.add('backbone.norm_f.weight', 'BF16', H)
        self.add('lm_head.weight', 'BF16', V, H)
        if config.get('num_nextn_predict_layers'):
            for name in 'enorm', 'hnorm': self.add(f'mtp.layers.0.{name}.weight', 'BF16', H)
            self.add('mtp.layers.0.eh_proj.weight', 'BF16', H, 2 * H)
            self.layer('mtp.layers.0.', '*', None)
            self.layer('mtp.layers.1.', 'E', None)
            self.add('mtp.layers.1.final_layernorm.weight', 'BF16', H)

    def add(self, name, dtype, *shape): self.tensors.append((name, dtype, list(shape)))

    def linear(self, prefix, module, layer, n, k):
        name = prefix + module
        form = 'BF16' if layer is None else self.format_of(layer, module)
        if form != 'BF16': self.quantized[name] = form
        if form == 'NVFP4':
            self.add(name + '.weight', 'U8', n, k // 2)
            self.add(name + '.weight_scale', 'F8_E4M3', n, k // 16)
            self.add(name + '.weight_scale_2', 'F32')
            self.add(name + '.input_scale', 'F32')
        elif form == 'FP8':
            self.add(name + '.weight', 'F8_E4M3', n, k)
            self.add(name + '.weight_scale', 'F32')
            self.add(name + '.input_scale', 'F32')
        else:
            self.add(name + '.weight', 'BF16', n, k)

    def layer(self, p, symbol, layer):
        c = self.c
        H, NH = c['hidden_size'], c['mamba_num_heads']
        self.add(p + 'norm.weight', 'BF16', H)
        p += 'mixer.'
        if symbol == 'M':
            D = NH * c['mamba_head_dim']
            CD = D + 2 * c['n_groups'] * c['ssm_state_size']
            self.linear(p, 'in_proj', layer, D + CD + NH, H)
            self.add(p + 'conv1d.weight', 'BF16', CD, 1, c['conv_kernel'])
            self.add(p + 'conv1d.bias', 'BF16', CD)
            for name in 'A_log', 'D', 'dt_bias': self.add(p + name, 'BF16', NH)
            self.add(p + 'norm.weight', 'BF16', D)
            self.linear(p, 'out_proj', layer, H, D)
        elif symbol == '*':
            q, kv = c['num_attention_heads'] * c['head_dim'], c['num_key_value_heads'] * c['head_dim']
            for name, rows in ('q_proj', q), ('k_proj', kv), ('v_proj', kv): self.linear(p, name, layer, rows, H)
            self.linear(p, 'o_proj', layer, H, q)
            if self.kv_scales and layer is not None:
                self.add(p + 'k_proj.k_scale', 'F32')
                self.add(p + 'v_proj.v_scale', 'F32')
        else:
            E, X, I = c['n_routed_experts'], c.get('moe_latent_size') or H, c['moe_intermediate_size']
            S = c['moe_shared_expert_intermediate_size']
            self.add(p + 'gate.weight', self.gate, E, H)
            self.add(p + 'gate.e_score_correction_bias', 'F32', E)
            if c.get('moe_latent_size'):
                self.linear(p, 'fc1_latent_proj', layer, X, H)
                self.linear(p, 'fc2_latent_proj', layer, H, X)
            for e in range(E):
                self.linear(p, f'experts.{e}.up_proj', layer, I, X)
                self.linear(p, f'experts.{e}.down_proj', layer, X, I)
            self.linear(p, 'shared_experts.up_proj', layer, S, H)
            self.linear(p, 'shared_experts.down_proj', layer, H, S)

    def write(self, path, shards):
        os.makedirs(path, exist_ok=True)
        sizes = [SIZES[dtype] * math.prod(shape) for _, dtype, shape in self.tensors]
        total, done, parts = sum(sizes), 0, [[] for _ in range(shards)]
        for tensor, size in zip(self.tensors, sizes):
            parts[min(shards - 1, done * shards // total)].append((tensor, size))
            done += size
        weight_map = {}
        for number, part in enumerate(parts):
            file = f'model-{number + 1:05}-of-{shards:05}.safetensors'
            header, offset = {'__metadata__': {'format': 'pt'}}, 0
            for (name, dtype, shape), size in part:
                header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [offset, offset + size]}
                weight_map[name] = file
                offset += size
            text = json.dumps(header, separators=(',', ':')).encode()
            text += b' ' * (-len(text) % 8)
            with open(os.path.join(path, file), 'wb') as f:
                f.write(struct.pack('<Q', len(text)) + text)
                f.truncate(8 + len(text) + offset)
        with open(os.path.join(path, 'model.safetensors.index.json'), 'w') as f:
            json.dump({'metadata': {'total_size': total}, 'weight_map': weight_map}, f, indent=2)
        with open(os.path.join(path, 'config.json'), 'w') as f: json.dump(self.c, f, indent=2)
        print(f'{path}: {len(self.tensors):,} tensors / {total:,} bytes')


def write_json(path, value):
    with open(path, 'w') as f: json.dump(value, f, indent=2)


def make(name, path):
    model, form = name.split('-')
    config = dict(MODELS[model])
    pattern = {'nano': NANO, 'lightning': NANO, 'super': SUPER, 'ultra': ULTRA}[model]
    if form == 'bf16':
        return Folder(config, pattern).write(path, {'nano': 13, 'lightning': 13, 'super': 50, 'ultra': 225}[model])
    producer = {'name': 'modelopt', 'version': '0.29.0' if model == 'nano' else '0.43.0.dev63+g449e700f9'}
    if model == 'nano':
        folder = Folder(config, pattern, nano_format, gate='F32')
        folder.write(path, 5)
        plain = [t[0][:-len('.weight')] for t in folder.tensors if t[1] == 'BF16' and t[0].endswith(('_proj.weight', 'conv1d.weight', 'lm_head.weight'))]
        return write_json(os.path.join(path, 'hf_quant_config.json'), {'producer': producer, 'quantization': {
            'quant_algo': 'NVFP4', 'kv_cache_quant_algo': 'FP8', 'group_size': 16, 'exclude_modules': plain}})
    folder = Folder(config, pattern, super_format, kv_scales=True)
    layers = {n: {'quant_algo': 'FP8'} if f == 'FP8' else {'quant_algo': 'NVFP4', 'group_size': 16} for n, f in folder.quantized.items()}
    group = lambda bits, form, **more: {
        'input_activations': {'dynamic': False, 'num_bits': bits, 'type': 'float', **more},
        'weights': {'dynamic': False, 'num_bits': bits, 'type': 'float', **more}, 'targets': [n for n, f in folder.quantized.items() if f == form]}
    folder.c['quantization_config'] = {
        'config_groups': {'group_0': group(8, 'FP8'), 'group_1': group(4, 'NVFP4', group_size=16)}, 'quantized_layers': layers, 'ignore': [],
        'quant_algo': 'MIXED_PRECISION', 'kv_cache_scheme': {'dynamic': False, 'num_bits': 8, 'type': 'float'}, 'producer': producer,
        'quant_method': 'modelopt'}
    folder.write(path, 17)
    write_json(os.path.join(path, 'hf_quant_config.json'), {'producer': producer, 'quantization': {
        'quant_algo': 'MIXED_PRECISION', 'kv_cache_quant_algo': 'FP8', 'quantized_layers': layers}})


if __name__ == '__main__':
    names = [m + '-bf16' for m in MODELS] + ['nano-nvfp4', 'super-nvfp4']
    if len(sys.argv) != 3 or sys.argv[1] not in names: sys.exit(__doc__)
    make(sys.argv[1], sys.argv[2])
