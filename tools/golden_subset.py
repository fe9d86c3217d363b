#!/usr/bin/env python3
"""Copies checkpoint folders and thins the files of what they must give, so that both are small enough for the repository.

    golden_subset.py STEP MODELS EXPECT OUT NAME[=EXPECTATION] ...

OUT/NAME/ becomes a copy of MODELS/NAME/, and OUT/NAME/expect.safetensors holds EXPECT/NAME.safetensors (or that of EXPECTATION,
without its drafts) at every STEP-th position and the last: `ids` [T] whole, `positions` [P], rows of `logits`, `hidden`, `mtp.D` and
of keys and values, and the other states whole. Where MODELS/NAME does not exist, the expectations go to OUT/NAME.safetensors.
Standard library only.
"""
import array, json, os, shutil, struct, sys


def read(path):
    """name -> (dtype, shape, bytes) of a safetensors file."""
    with open(path, 'rb') as f:
        size, = struct.unpack('<Q', f.read(8))
        head = json.loads(f.read(size))
        data = f.read()
    head.pop('__metadata__', None)
    return {n: (h['dtype'], h['shape'], data[h['data_offsets'][0]:h['data_offsets'][1]]) for n, h in head.items()}


def write(path, tensors):
    head, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        head[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + len(data)]}
        at += len(data)
    text = json.dumps(head).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text)
        for _, _, data in tensors.values():
            f.write(data)


def thin(tensors, step, drafts):
    length = tensors['ids'][1][0]
    positions = sorted(set(range(0, length, step)) | {length - 1})
    out = {'ids': tensors['ids'], 'positions': ('I32', [len(positions)], array.array('i', positions).tobytes())}
    for name, (dtype, shape, data) in tensors.items():
        if name == 'ids' or (name.startswith('mtp.') and not drafts):
            continue
        if not name.startswith(('logits', 'hidden', 'mtp.')) and not name.endswith(('.k', '.v')):
            out[name] = dtype, shape, data
            continue
        row = len(data) // shape[0]
        keep = [p for p in positions if p < shape[0]]
        out[name] = dtype, [len(keep), *shape[1:]], b''.join(data[p * row:(p + 1) * row] for p in keep)
    return out


def main():
    step, models, expect, out, *names = sys.argv[1:]
    for name in names:
        name, _, other = name.partition('=')
        thinned = thin(read(os.path.join(expect, (other or name) + '.safetensors')), int(step), drafts=not other)
        folder, copy = os.path.join(models, name), os.path.join(out, name)
        if not os.path.isdir(folder):
            write(copy + '.safetensors', thinned)
            continue
        os.makedirs(copy, exist_ok=True)
        for file in sorted(os.listdir(folder)):
            shutil.copyfile(os.path.join(folder, file), os.path.join(copy, file))
        write(os.path.join(copy, 'expect.safetensors'), thinned)


if __name__ == '__main__':
    main()
