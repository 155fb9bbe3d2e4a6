"""Joining ES modules into one script (webim_offline.foundation.javascript)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT
from webim_offline.foundation.javascript import CannotJoinError, join


@pytest.fixture
def modules(tmp_path):
    """Writes modules and joins the one that is named `main.js`."""

    def join_modules(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.js").write_text(source)
        return join(tmp_path / "main.js")

    return join_modules


def test_modules_stand_behind_those_they_import_and_share_one_scope(modules):
    script = modules(
        main="import { half } from './half.js';\nimport { two } from './two.js';\n\nexport const start = (n) => half(n) + two;\n",
        half="import {\n  two,\n} from './two.js';\n\nexport const half = (n) => n / two;\n",
        two="export const two = 2;\n",
    )
    assert [path.stem for path in script.files] == ["two", "half", "main"]
    assert script.text.startswith("(() => {\n'use strict';\n")
    assert script.text.endswith("return start;\n})()")
    assert script.text.count("const two = 2;") == 1
    assert not {"import", "export"} & set(script.text.split())


def test_a_page_script_has_no_value(modules):
    assert "return" not in modules(main="import './two.js';\nlet two = 1;\n", two="const one = 2;\n").text


def test_a_second_part_takes_what_it_imports_from_the_first(tmp_path):
    sources = {
        "first": "import { two } from './shared.js';\nimport './other.js';\nexport const start = () => two;\n",
        "shared": "export let two = 2;\nexport const unused = 3;\n",
        "other": "export const one = 1;\n",
        "second": "import { one } from './other.js';\nimport { two } from './shared.js';\nimport { own } from './own.js';\n"
        "export const open = () => one + two + own;\n",
        "own": "import { two } from './shared.js';\nexport const own = two;\n",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.js").write_text(source)
    script = join(tmp_path / "second.js", behind=tmp_path / "first.js")
    assert script.taken == ("one", "two")
    assert [path.stem for path in script.files] == ["own", "second"]
    assert script.text.startswith("($first) => {\n'use strict';\nconst { one, two } = $first;\n")
    assert script.text.endswith("return open;\n}")
    assert "let two" not in script.text
    (tmp_path / "own.js").write_text("import { two } from './shared.js';\nconst one = 1;\nexport const own = two;\n")
    with pytest.raises(CannotJoinError, match="'one' is declared in"):
        join(tmp_path / "second.js", behind=tmp_path / "first.js")


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ({"main": "import { b } from './b.js';\n", "b": "const b = 1;\n"}, "not exported"),
        ({"main": "import { b } from './missing.js';\n"}, "no such module"),
        ({"main": "import { b as c } from './b.js';\n", "b": "export const b = 1;\n"}, "not exported"),
        ({"main": "import b from './b.js';\n", "b": "export const b = 1;\n"}, "does not support"),
        ({"main": "import { b } from 'react';\n"}, "does not support"),
        ({"main": "export default function b() {}\n"}, "does not support"),
        ({"main": "const { b: c } = window;\n"}, "does not support"),
        ({"main": "let [b] = [1];\n"}, "does not support"),
        ({"main": "import { b } from './b.js';\nconst { c } = b;\n", "b": "export const [b, c] = [{}, 1];\n"}, "declared in"),
        ({"main": "var b = 1;\n"}, "does not support"),
        ({"main": "export const b = 1;\nexport const c = 1;\n"}, "one name at most"),
        ({"main": "import { b } from './b.js';\nconst c = b;\n", "b": "export const b = 1;\nfunction c() {}\n"}, "declared in"),
        ({"main": "import { b } from './b.js';\n", "b": "import { c } from './main.js';\nexport const b = 1;\n"}, "circle"),
    ],
)
def test_what_one_scope_cannot_hold_is_refused(modules, sources, complaint):
    with pytest.raises(CannotJoinError, match=complaint):
        modules(**sources)


def test_the_pure_parts_of_the_scripts():
    """Their own tests, as `make test-js` runs them."""
    node = Path(sys.executable).parent / "node"
    files = sorted(str(path) for path in (ROOT / "tests" / "scripts").glob("*.test.js"))
    command = [node, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--test", "--test-reporter=tap", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout
