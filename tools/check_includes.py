"""Checks the house rules that a compiler does not: includes point down, libraries stay in their folder, files say what they are.

    check_includes.py [ROOT]

Prints one line per violation, "FILE:LINE: what is wrong", and exits with 1 if there is any.
"""

import re
import sys
from pathlib import Path

# Each folder of src/ and those directly below it; what is below these may be included as well.
BELOW = {
    'base': [],
    'formats': ['base'],
    'tensor': ['formats'],
    'ops': ['tensor'],
    'model': ['ops'],
    'io': ['model'],
    'text': ['base'],
    'engine': ['io', 'text'],
    'serve': ['engine'],
    'train': ['io', 'text'],
    'posttrain': ['train', 'engine'],
    'quantize': ['train'],
    'dist': ['tensor'],
    'plan': ['model'],
    'bench': ['engine', 'plan'],
    'cli': ['serve', 'posttrain', 'quantize', 'dist', 'bench'],
}

# Libraries that are wrapped for all others: the start of the include, the only folders that may see it.
HOME = {
    'hwy/': ['ops/cpu'],
    'simdjson': ['base', 'io', 'text'],
    'pcre2': ['text'],
    'utf8proc': ['text'],
    'CLI/': ['cli'],
    'histedit': ['cli'],
    'editline': ['cli'],
}
# Parts of a folder that only the folder itself includes; the others go through its front.
PRIVATE = ['ops/cpu/', 'ops/ref/', 'ops/cuda/']

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
SOURCES = ('.h', '.cc', '.cu', '.inc')


def allowed(folder, below=BELOW):
    """The folders that `folder` may include: itself and everything below it."""
    found = {folder}
    for lower in below.get(folder, []):
        found |= allowed(lower, below)
    return found


def includes(text):
    """(line number, path, quoted) of every include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1] or match[2], match[1] is not None


def check_first_line(text):
    """A file starts with a // comment that is a sentence."""
    lines = text.splitlines()
    if not lines or not re.match(r'// \S+ \S+', lines[0]):
        return 'the first line is not a // sentence that says what the file is'
    paragraph = []
    for line in lines:
        if not line.startswith('// '):
            break
        paragraph.append(line[3:].rstrip())
    if not re.search(r'[.:!?)]( |$)', ' '.join(paragraph)):
        return 'the comment at the top has no full stop'
    return None


def check_include(file, path, quoted, is_ours):
    """What is wrong with an include of `path` by src/`file`, or None."""
    folder = file.split('/')[0] if '/' in file else 'cli'  # main.cc stands on top
    for library, homes in HOME.items():
        if path.startswith(library):
            if file.startswith(tuple(home + '/' for home in homes)):
                return None
            return f'<{path}> belongs in {" and ".join(homes)} alone; use what is offered there'
    if not is_ours:
        return f'"{path}" is no file of src/; write a system header in <>' if quoted else None
    if not quoted:
        return f'<{path}> is our own; write it in quotes'
    if folder not in BELOW:
        return f'{folder}/ has no place in the list of folders (tools/check_includes.py)'
    target = path.split('/')[0]
    if target not in allowed(folder):
        return f'{folder}/ may not include {target}/: it does not lie below'
    for private in PRIVATE:
        if path.startswith(private) and target != folder:
            return f'{private} is private to {target}/; include its front'
    return None


def cycles(graph):
    """Every cycle of a graph {node: [node]}, once, as the list of its nodes."""
    found, state = [], {}

    def visit(node, path):
        state[node] = 'open'
        for after in graph.get(node, []):
            if state.get(after) == 'open':
                found.append(path[path.index(after):] + [after])
            elif after not in state:
                visit(after, path + [after])
        state[node] = 'done'

    for node in sorted(graph):
        if node not in state:
            visit(node, [node])
    return found


def check(root):
    """All violations under a repository, as printable lines."""
    problems, graph = [], {}
    src = root / 'src'
    files = [f for top in ('src', 'tests', 'fuzz', 'bench') for f in sorted((root / top).rglob('*')) if f.suffix in SOURCES]
    for file in files:
        name, text = file.relative_to(root).as_posix(), file.read_text(encoding='utf-8')
        problem = check_first_line(text)
        if problem:
            problems.append(f'{name}:1: {problem}')
        if file.suffix == '.h' and '#pragma once' not in text and 'HWY_TARGET_TOGGLE' not in text:
            problems.append(f'{name}:1: a header without #pragma once')
        if not name.startswith('src/'):
            continue
        inside = name[len('src/'):]
        graph[inside] = []
        for number, path, quoted in includes(text):
            is_ours = '..' not in path and (src / path).is_file()
            problem = check_include(inside, path, quoted, is_ours)
            if problem:
                problems.append(f'{name}:{number}: {problem}')
            if is_ours:
                graph[inside].append(path)
    for cycle in cycles(graph):
        problems.append(f'src/{cycle[0]}:1: files that include each other: ' + ' -> '.join(cycle))
    return problems


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    if not (root / 'src').is_dir():
        sys.exit(f'check_includes: {root} has no src/')
    problems = check(root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
