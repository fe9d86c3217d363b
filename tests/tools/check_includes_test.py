"""Every rule of tools/check_includes.py, shown to fail on a small tree that breaks it and to pass on one that does not."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))
import check_includes

TOP = '// A file: what it is.\n\n'
HEADER = TOP + '#pragma once\n\n'


class CheckIncludes(unittest.TestCase):
    def violations(self, files):
        """What the check says of a repository with these files: {path: text}."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / 'src').mkdir()
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            return check_includes.check(root)

    def assert_refused(self, files, place, words):
        found = self.violations(files)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(place + ': '), found)
        self.assertIn(words, found[0])

    def test_a_clean_tree_has_no_violations(self):
        self.assertEqual(self.violations({
            'src/base/error.h': HEADER + '#include <string>\n',
            'src/formats/f16.h': HEADER + '#include "base/error.h"\n',
            'src/tensor/tensor.h': HEADER + '#include "formats/f16.h"\n',
            'src/ops/ops.h': HEADER + '#include "tensor/tensor.h"\n#include "base/error.h"\n',
            'src/ops/cpu/gemm.cc': TOP + '#include "ops/ops.h"\n#include "hwy/foreach_target.h"\n#include <hwy/highway.h>\n',
            'src/text/bpe.cc': TOP + '#include "base/error.h"\n#include <pcre2.h>\n',
            'src/cli/chat.cc': TOP + '#include "ops/ops.h"\n#include <CLI/CLI.hpp>\n',
            'src/main.cc': TOP + '#include "base/error.h"\n',
            'tests/ops/gemm_test.cc': TOP + '#include "ops/cpu/gemm.h"\n',
        }), [])

    def test_an_include_upward_is_refused(self):
        for lower, upper in [('base', 'tensor'), ('tensor', 'ops'), ('ops', 'model'), ('model', 'io'), ('io', 'engine'),
                             ('text', 'tensor'), ('text', 'model'), ('engine', 'cli'), ('io', 'text')]:
            self.assert_refused({f'src/{lower}/a.h': HEADER + f'#include "{upper}/b.h"\n', f'src/{upper}/b.h': HEADER},
                                f'src/{lower}/a.h:5', f'{lower}/ may not include {upper}/')

    def test_an_unknown_folder_is_refused(self):
        self.assert_refused({'src/helpers/a.h': HEADER + '#include "base/b.h"\n', 'src/base/b.h': HEADER},
                            'src/helpers/a.h:5', 'no place')
        self.assert_refused({'src/engine/a.h': HEADER + '#include "helpers/b.h"\n', 'src/helpers/b.h': HEADER},
                            'src/engine/a.h:5', 'may not include helpers/')

    def test_highway_outside_ops_cpu_is_refused(self):
        for folder in ('ops', 'ops/ref', 'model', 'base'):
            for include in ('"hwy/foreach_target.h"', '<hwy/highway.h>'):
                self.assert_refused({f'src/{folder}/a.cc': TOP + f'#include {include}\n'}, f'src/{folder}/a.cc:3', 'ops/cpu alone')

    def test_a_library_outside_its_folder_is_refused(self):
        self.assert_refused({'src/engine/a.cc': TOP + '#include <simdjson.h>\n'}, 'src/engine/a.cc:3', 'base and io and text alone')
        self.assert_refused({'src/base/a.cc': TOP + '#  include <pcre2.h>\n'}, 'src/base/a.cc:3', 'text alone')

    def test_a_backend_is_private(self):
        self.assert_refused({'src/model/a.cc': TOP + '#include "ops/cpu/b.h"\n', 'src/ops/cpu/b.h': HEADER},
                            'src/model/a.cc:3', 'private')

    def test_paths_that_are_not_relative_to_src_are_refused(self):
        self.assert_refused({'src/base/a.cc': TOP + '#include "b.h"\n', 'src/base/b.h': HEADER}, 'src/base/a.cc:3', 'no file of src/')
        self.assert_refused({'src/base/a.cc': TOP + '#include "../base/b.h"\n', 'src/base/b.h': HEADER},
                            'src/base/a.cc:3', 'no file of src/')
        self.assert_refused({'src/base/a.cc': TOP + '#include <base/b.h>\n', 'src/base/b.h': HEADER}, 'src/base/a.cc:3', 'in quotes')

    def test_headers_that_include_each_other_are_refused(self):
        self.assert_refused({'src/base/a.h': HEADER + '#include "base/b.h"\n', 'src/base/b.h': HEADER + '#include "base/c.h"\n',
                             'src/base/c.h': HEADER + '#include "base/a.h"\n'},
                            'src/base/a.h:1', 'base/a.h -> base/b.h -> base/c.h -> base/a.h')
        self.assert_refused({'src/base/a.h': HEADER + '#include "base/a.h"\n'}, 'src/base/a.h:1', 'base/a.h -> base/a.h')

    def test_a_file_that_does_not_say_what_it_is_is_refused(self):
        for text in ('', '#include <string>\n', '/* A file: what it is. */\n', '//\n// A file.\n', '// file\n'):
            self.assert_refused({'tests/base/a_test.cc': text}, 'tests/base/a_test.cc:1', 'first line')
        self.assert_refused({'src/base/a.cc': '// the start of something\n\nint x;\n'}, 'src/base/a.cc:1', 'full stop')

    def test_a_header_without_a_guard_is_refused(self):
        self.assert_refused({'src/base/a.h': TOP + 'int x;\n'}, 'src/base/a.h:1', '#pragma once')

    def test_the_table_of_folders_has_no_cycle_and_names_only_folders(self):
        self.assertEqual(check_includes.cycles(check_includes.BELOW), [])
        for folder, below in check_includes.BELOW.items():
            self.assertLessEqual(set(below), set(check_includes.BELOW), folder)
        self.assertEqual(check_includes.allowed('text'), {'text', 'base'})
        self.assertEqual(check_includes.allowed('tensor'), {'tensor', 'formats', 'base'})


if __name__ == '__main__':
    unittest.main()
