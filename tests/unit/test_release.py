"""What a release needs: one version, workflows that run the commands of the README, all licences."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ember_widgets import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def parsed(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = parsed(workflow)["jobs"]
    return found


def steps(workflow: Path, key: str) -> Iterator[str]:
    """What the steps and the jobs of a workflow run or use."""
    for job in jobs(workflow).values():
        for step in [job, *job.get("steps", [])]:
            if key in step:
                yield step[key]


def test_the_version_stands_in_one_place() -> None:
    pyproject = read("pyproject.toml")
    assert 'dynamic = ["version"]' in pyproject
    assert 'path = "ember_widgets/_version.py"' in pyproject
    assert not re.search(r"^version\b", pyproject, re.MULTILINE)
    assert "version" not in json.loads(read("js/package.json"))
    modules = (REPOSITORY / "ember_widgets").rglob("*.py")
    assert [path.name for path in modules if re.search(r"^__version__ =", path.read_text("utf-8"), re.M)] == [
        "_version.py"
    ]


def test_citation_and_changelog_name_this_version() -> None:
    assert str(parsed(REPOSITORY / "CITATION.cff")["version"]) == __version__
    headings = re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert __version__ in headings
    assert headings.index(__version__) == (1 if headings[0] == "Unreleased" else 0)


def test_the_workflows_run_the_commands_of_the_readme() -> None:
    commands = {path.name: "\n".join(steps(path, "run")) for path in WORKFLOWS}
    assert re.search(r"^make test\b(?!-)", commands["tests.yml"], re.MULTILINE)
    assert "make test" in read("README.md")
    assert "make test-lowest" in commands["weekly.yml"]
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([\w-]+)", "\n".join(commands.values()))) <= targets


def test_pages_show_the_versions_of_actions_that_the_workflows_use() -> None:
    used = {action for path in WORKFLOWS for action in steps(path, "uses")}
    versions = dict(action.split("@") for action in used if "@" in action)
    shown = [
        action
        for page in (REPOSITORY / "docs").rglob("*.md")
        for action in re.findall(r"uses: ([\w./-]+@[\w./-]+)", page.read_text("utf-8"))
    ]
    assert shown
    assert [
        one for one in shown if versions.get(one.split("@")[0], one.split("@")[1]) != one.split("@")[1]
    ] == []


def test_the_workflows_try_the_lowest_python_that_is_allowed() -> None:
    allowed = re.search(r'requires-python = ">=([\d.]+)"', read("pyproject.toml"))
    assert allowed is not None
    (tests,) = [path for path in WORKFLOWS if path.name == "tests.yml"]
    assert allowed.group(1) in jobs(tests)["everything"]["strategy"]["matrix"]["python"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_names_its_actions_by_major_version(workflow: Path) -> None:
    assert parsed(workflow)["permissions"] == {"contents": "read"}
    actions = [action for action in steps(workflow, "uses") if not action.startswith("./")]
    assert [action for action in actions if not re.fullmatch(r"[\w./-]+@(release/)?v\d+", action)] == []


def test_the_readme_on_pypi_leads_to_the_repository_and_shows_its_pictures() -> None:
    spec = importlib.util.spec_from_file_location("readme", REPOSITORY / ".github" / "readme_for_pypi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.with_addresses(read("README.md"), "me/ember", "v1.2")
    code, pictures = (
        "https://github.com/me/ember/blob/v1.2",
        "https://raw.githubusercontent.com/me/ember/v1.2",
    )
    assert f"]({code}/docs/limits.md#what-was-not-tested)" in text
    assert f'srcset="{pictures}/notebooks/images/paint-dark.webp"' in text
    assert f'src="{pictures}/notebooks/images/paint-light.webp"' in text
    assert "](https://arxiv.org/abs/2410.22366)" in text
    targets = [a + b for a, b in re.findall(r"\]\(([^)\s]+)\)|\bsrc(?:set)?=\"([^\"\s]+)\"", text)]
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []
    assert module.with_addresses(text, "me/ember", "v1.2") == text
    (release,) = [path for path in WORKFLOWS if path.name == "release.yml"]
    commands = list(steps(release, "run"))
    rewritten = 'python .github/readme_for_pypi.py "$GITHUB_REPOSITORY" "$GITHUB_REF_NAME"'
    assert commands.index(rewritten) < commands.index("python -m build")


def test_only_the_job_that_publishes_may_prove_who_it_is() -> None:
    (release,) = [path for path in WORKFLOWS if path.name == "release.yml"]
    allowed = {name for name, job in jobs(release).items() if "id-token" in job.get("permissions", {})}
    assert allowed == {"publish"}
    assert jobs(release)["publish"]["needs"] == ["tests", "build"]
    assert "secrets." not in release.read_text("utf-8")


def test_a_bug_report_asks_for_what_the_command_prints() -> None:
    folder = REPOSITORY / ".github" / "ISSUE_TEMPLATE"
    assert {path.name for path in folder.iterdir()} == {"bug.yml", "feature.yml", "config.yml"}
    fields = {field["id"]: field for field in parsed(folder / "bug.yml")["body"] if "id" in field}
    assert "`ember-widgets info`" in fields["info"]["attributes"]["label"]
    assert fields["info"]["validations"]["required"] is True
    assert parsed(folder / "feature.yml")["body"]


def test_the_notice_names_every_text_of_a_licence() -> None:
    texts = {path.name for path in (REPOSITORY / "licenses").iterdir()}
    assert {name for name in texts if name not in read("NOTICE")} == set()
    assert 'license-files = ["LICENSE", "NOTICE", "licenses/*.txt"]' in read("pyproject.toml")


def test_the_notice_names_every_package_of_the_browsers_side_that_is_shipped() -> None:
    notice = read("NOTICE").lower()
    versions = json.loads(read("js/package.json"))["devDependencies"]
    imported = {
        match
        for path in [*(REPOSITORY / "js" / "src").rglob("*.ts*"), REPOSITORY / "js" / "jsx.mjs"]
        for match in re.findall(r'(?:from|import) "((?:@[\w-]+/)?[a-z][\w-]*)', path.read_text("utf-8"))
    }
    assert imported == {"preact", "@preact/signals-core", "onnxruntime-web"}
    for name in imported - {"onnxruntime-web"}:
        assert name in notice
    assert f"onnx runtime web {versions['onnxruntime-web']}" in notice
    assert f"comes with onnx runtime {versions['onnxruntime-web']}" in notice


def test_the_site_is_published_as_make_docs_builds_it() -> None:
    docs = REPOSITORY / ".github" / "workflows" / "docs.yml"
    assert any(command.startswith("make docs") for command in steps(docs, "run"))
    built = [step["with"]["path"] for step in jobs(docs)["build"]["steps"] if "path" in step.get("with", {})]
    assert built == ["build/docs"]  # where the Makefile's docs/build.py writes
    assert "build/docs" in read("Makefile")
