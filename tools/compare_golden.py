#!/usr/bin/env python3
"""Compares `nemotron logits` with files of expected logits, hidden states, drafts and layer states.

    compare_golden.py NEMOTRON MODELS EXPECT [--backend cpu|ref] [OPTIONS FOR nemotron logits ...]

For every MODELS/NAME with an EXPECT/NAME.safetensors (ids, logits, hidden, mtp.D, layers.L.*), prints the largest absolute
difference a kind and exits with 1 when a logit or draft differs by 2e-4 or more (ref: 1e-5). Standard library only.
"""
import array, json, os, struct, subprocess, sys, tempfile


def read(path):
    with open(path, 'rb') as f:
        size, = struct.unpack('<Q', f.read(8))
        head = json.loads(f.read(size))
        data = f.read()
    out = {}
    for name, h in head.items():
        if name != '__metadata__':
            a, b = h['data_offsets']
            out[name] = h['shape'], array.array({'F32': 'f', 'I32': 'i'}[h['dtype']], data[a:b])
    return out


def main():
    program, models, expect, *options = sys.argv[1:]
    limit = 1e-5 if 'ref' in options else 2e-4
    failed = False
    for name in sorted(os.listdir(models)):
        path = os.path.join(expect, ('super_like' if name.startswith('resaved') else name) + '.safetensors')
        if not os.path.exists(path):
            continue
        want = read(path)
        drafts = 0 if name.startswith('resaved') else sum(k.startswith('mtp.') for k in want)
        with tempfile.TemporaryDirectory() as d:
            with open(os.path.join(d, 'ids'), 'w') as f:
                json.dump(list(want['ids'][1]), f)
            out = os.path.join(d, 'out')
            command = [program, 'logits', os.path.join(models, name), '--ids', f.name, '--out', out, '--states', *options]
            subprocess.run(command + (['--mtp', str(drafts)] if drafts else []), check=True, stderr=subprocess.DEVNULL)
            got = read(out)
        worst = {}
        for key, (shape, values) in want.items():
            kind = key.split('.')[0] if not key.startswith('layers') else key.split('.')[2]
            if key == 'ids' or (kind == 'mtp' and not drafts):
                continue
            assert got[key][0] == shape, (name, key, got[key][0], shape)
            differences = (abs(a - b) if a == a else float('inf') for a, b in zip(got[key][1], values))
            worst[kind] = max(worst.get(kind, 0), max(differences))
        bad = max(worst['logits'], worst.get('mtp', 0)) >= limit
        failed |= bad
        print(f'{name:16}', ' '.join(f'{k} {v:.1e}' for k, v in worst.items()), 'TOO FAR' if bad else '')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
