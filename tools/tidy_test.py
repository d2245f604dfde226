"""Shows that tools/tidy finds each kind of breach, and nothing in a clean tree."""
import os
import subprocess
import sys
import tempfile
import unittest

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy")
ROOMS = "set(SLUICE_FOLDERS\n  base tensor models cli)\n"


def room(name, body):
    return f"namespace sluice::{name} {{\n{body}\n}}  // namespace sluice::{name}\n"


def function(lines):
    return "int f(int x) {\n" + "  ++x;\n" * (lines - 2) + "}"


class TidyTest(unittest.TestCase):
    def tidy(self, files):
        """What tools/tidy says of a tree of these files."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {"CMakeLists.txt": ROOMS, **files}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            run = subprocess.run([sys.executable, TIDY, "--root", root], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0 if run.stdout == "tidy\n" else 1, run.stderr)
            return run.stdout

    def clean(self, files):
        self.assertEqual(self.tidy(files), "tidy\n")

    def breach(self, files, *says):
        told = self.tidy(files)
        for what in says:
            self.assertIn(what, told)
        self.assertIn(f"{len(says)} breaches", told)

    def test_a_clean_tree_passes(self):
        self.clean({
            "src/models/a.cc": '#include "base/x.h"\n#include <vector>\n' + room("models", function(60)),
            "src/models/a_test.cc": room("models", function(200)),
            "src/cli/main.cc": '#include "models/a.h"\nint main() { return getenv("X") != nullptr; }\n',
            "src/kernels/cpu/simd.h": "#if defined(__AVX2__)\n#endif\n",
            "src/base/c_abi.h": "#ifdef __cplusplus\nextern \"C\" {\n#endif\n}\n",
            "src/base/text.cc": room("base", 'const char* a = "using namespace std; // !!!";\n'
                                     'const char* b = R"(\n#if 0\ngetenv )";'),
            "src/base/testdata/utils.cc": "  \n",
            "tests/x.cc": '#include "models/a.h"\n',
        })

    def test_includes_point_down(self):
        self.breach({"src/base/a.cc": '#include "models/m.h"\n' + room("base", "")},
                    "src/base/a.cc:1: base includes models")
        self.breach({"src/base/a.cc": '#include "tests/m.h"\n' + room("base", "")}, "src includes tests")

    def test_names_say_something(self):
        for name in ("src/base/utils.cc", "src/base/common/x.cc", "src/base/kv_manager.cc"):
            self.breach({name: room("base", "")}, name + ":1: a name with")

    def test_platforms_are_folders(self):
        self.breach({"src/base/a.cc": "#ifdef __linux__\n#endif\n" + room("base", "")}, "a.cc:1: a stray #if")

    def test_lengths(self):
        long_file = room("base", "int a();\n" * 299)
        self.breach({"src/base/a.h": long_file}, "a.h:1: file of 302 lines, over 300")
        self.breach({"src/base/a.cc": room("base", function(61))}, "a.cc:2: function of 61 lines")
        self.breach({"src/base/a.cc": room("base", "struct S {\n" + function(70) + "\n};")},
                    "a.cc:3: function of 70 lines")
        self.breach({"tools/a.py": "def f():\n" + "    x = 1\n" * 60}, "a.py:1: function of 61 lines")

    def test_the_ratchet_only_tightens(self):
        long_file = room("base", "int a();\n" * 347)  # 350 lines
        listed = "# kind name limit reason\nfile src/base/a.h {} One table.\n"
        self.clean({"src/base/a.h": long_file, "tools/tidy_ratchet.txt": listed.format(350)})
        self.clean({"src/base/a.h": long_file, "tools/tidy_ratchet.txt": listed.format(360)})
        self.breach({"src/base/a.h": long_file, "tools/tidy_ratchet.txt": listed.format(349)},
                    "grew beyond its listed 349")
        self.breach({"src/base/a.h": long_file, "tools/tidy_ratchet.txt": listed.format(361)},
                    "tools/tidy_ratchet.txt:2: src/base/a.h has shrunk to 350 lines")
        self.breach({"src/base/a.h": room("base", ""), "tools/tidy_ratchet.txt": listed.format(350)},
                    "remove the exception")
        self.breach({"tools/tidy_ratchet.txt": listed.format(350)}, "is not there any more")
        self.breach({"tools/tidy_ratchet.txt": "file x.cc 350\n"}, "is not `file|function|if NAME")
        self.clean({"src/base/a.cc": room("base", function(70)),
                    "tools/tidy_ratchet.txt": "function src/base/a.cc:f 70 One switch.\n"})
        self.clean({"src/base/a.cc": "#if X\n#endif\n" + room("base", ""),
                    "tools/tidy_ratchet.txt": "if src/base/a.cc 1 A pause.\n"})

    def test_comments_speak_quietly(self):
        for comment in ("// ===== Section", "// Never do this!!", "// TODO: later", "// ALWAYS CHECK THIS TWICE",
                        "//////////////"):
            self.breach({"src/base/a.cc": comment + "\n" + room("base", "")}, "a.cc:1: the comment shouts")
        self.breach({"tools/a.py": "x = 1  # -------\n"}, "a.py:1: the comment shouts")

    def test_text(self):
        self.breach({"src/base/a.cc": room("base", "int a; ")}, "a.cc:2: trailing whitespace")
        self.breach({"src/base/a.cc": room("base", "\tint a;")}, "a.cc:2: a tab")
        self.breach({"src/base/a.cc": room("base", "")[:-1]}, "no newline at the end")

    def test_namespace_is_the_folder(self):
        self.breach({"src/base/a.cc": room("models", "")}, "a.cc:1: no namespace sluice::base")

    def test_environment_and_std(self):
        self.breach({"src/base/a.cc": room("base", 'auto a = std::getenv("A");')}, "a.cc:2: getenv")
        self.breach({"src/base/a.cc": room("base", "using namespace std;")}, "a.cc:2: using namespace std")


if __name__ == "__main__":
    unittest.main()
