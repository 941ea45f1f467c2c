"""Documents people write: every mistake is found, with its line; hostile YAML ends in an error, not in a crash or a hang."""

import pytest

from metrics_api.document import Node, Problems, parse_document
from metrics_api.errors import BadConfiguration, BadQuery
from metrics_api.window import Window


def read(text: str) -> Node:
    return parse_document(text, "mesh.yaml", Problems())


def fatal(text: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        read(text)
    [problem] = caught.value.problems
    return problem


def plain(node: Node) -> object:
    """The tree without its places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    return [plain(child) for child in node.value] if isinstance(node.value, list) else node.value


def test_a_document_becomes_text_lists_and_mappings():
    assert plain(read("a: 1\nb: [x, 'y', ~]\nc:\n  d: {e: true}\nf:\n")) == {
        "a": "1",
        "b": ["x", "y", None],
        "c": {"d": {"e": "true"}},
        "f": None,
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_document_is_an_empty_mapping(text: str):
    root = read(text)
    assert root.mapping(["a"]) == {}
    root.problems.raise_if_any()


def test_every_value_knows_where_it_was_written_which_is_where_its_key_is():
    root = read("a: 1\nb:\n- x\n- c: y\n")
    assert [(node.place, node.path, node.line) for node in root.walk()] == [
        ("mesh.yaml:1", "", 1),
        ("mesh.yaml:1: a", "a", 1),
        ("mesh.yaml:2: b", "b", 2),
        ("mesh.yaml:3: b[0]", "b[0]", 3),
        ("mesh.yaml:4: b[1]", "b[1]", 4),
        ("mesh.yaml:4: b[1].c", "b[1].c", 4),
    ]


def test_every_mistake_is_found_in_one_run():
    root = read("window: soon\nbackends:\n- {name: mesh, type: graphite, retries: '-1', colour: red}\n- mesh\nname: [a]\n")
    entries = root.mapping(["window", "backends", "name"], required=["server"])
    entries["window"].read(Window.parse, Window(30))
    for backend in entries["backends"].items():
        keys = backend.mapping(["name", "type", "retries"], required=["url"])
        if keys:
            keys["type"].choice(["prometheus", "scrape"], "scrape")
            keys["retries"].integer(0, 5, 0)
    entries["name"].text()
    with pytest.raises(BadConfiguration) as caught:
        root.problems.raise_if_any()
    assert caught.value.problems == (
        'mesh.yaml:1: "server" is missing',
        'mesh.yaml:1: window: "soon" is not a duration: write it as 30s, 5m or 1h30m',
        'mesh.yaml:3: backends[0]: "url" is missing',
        'mesh.yaml:3: backends[0].colour: unknown key "colour"; known are name, type, retries',
        'mesh.yaml:3: backends[0].type: "graphite" is not one of prometheus, scrape',
        'mesh.yaml:3: backends[0].retries: "-1" is not a whole number from 0 to 5',
        "mesh.yaml:4: backends[1]: must be a mapping of keys to values",
        "mesh.yaml:5: name: must be a single value",
    )
    assert caught.value.message == "\n".join(caught.value.problems)


def test_no_mistake_raises_nothing():
    root = read("a: 1")
    assert root.mapping(["a"], required=["a"])["a"].integer(0, 1, 0) == 1
    root.problems.raise_if_any()


@pytest.mark.parametrize("text", ["{}", "[a]", "~"], ids=["mapping", "list", "null"])
def test_a_single_value_is_asked_for_and_reported_once(text: str):
    node = read(f"a: {text}").mapping()["a"]
    assert node.text("x") == "x"
    assert node.read(Window.parse, Window(30)) == Window(30)
    assert node.choice(["yes", "no"], "maybe") == "maybe"
    assert node.integer(0, 5, 3) == 3
    assert node.boolean(default=True) is True
    assert node.problems.found == ["mesh.yaml:1: a: must be a single value"] * 5


def test_an_error_of_a_parser_is_reported_where_the_value_stands():
    def refuse(text: str) -> str:
        raise BadQuery(f"{text} is no good")

    node = read("\n\na: b").mapping()["a"]
    assert node.read(refuse, "fallback") == "fallback"
    assert node.problems.found == ["mesh.yaml:3: a: b is no good"]


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-5", -5), ("10", 10), ("'7'", 7), ("007", 7)])
def test_a_whole_number_within_bounds(text: str, number: int):
    node = read(f"a: {text}").mapping()["a"]
    assert node.integer(-5, 10, 1) == number
    assert node.problems.found == []


@pytest.mark.parametrize(
    "text", ["11", "-6", "--5", "'-'", "1.0", "1e1", "0x5", "1_0", "+5", "five", "''", "٣", "9" * 5000], ids=lambda text: text[:8]
)
def test_what_is_no_whole_number_within_bounds_is_reported_as_such(text: str):
    node = read(f"a: {text}").mapping()["a"]
    assert node.integer(-5, 10, 1) == 1
    [problem] = node.problems.found
    assert problem.endswith("is not a whole number from -5 to 10")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_a_boolean_is_true_or_false(text: str, *, value: bool):
    assert read(f"a: {text}").mapping()["a"].boolean(default=not value) is value


@pytest.mark.parametrize("text", ["yes", "True", "1", "on", "''"])
@pytest.mark.parametrize("default", [True, False])
def test_other_words_for_a_boolean_are_refused(text: str, *, default: bool):
    node = read(f"a: {text}").mapping()["a"]
    assert node.boolean(default=default) is default
    assert "is not one of true, false" in node.problems.found[0]


def test_lists_and_mappings_of_strings():
    entries = read("a: [x, y]\nb: {k: v}\nc:\nd: x\n").mapping()
    assert entries["a"].texts() == ["x", "y"]
    assert entries["b"].text_mapping() == {"k": "v"}
    assert entries["c"].texts() == []
    assert entries["c"].text_mapping() == {}
    assert entries["d"].texts() == []
    assert entries["d"].text_mapping() == {}
    assert entries["a"].problems.found == ["mesh.yaml:4: d: must be a list", "mesh.yaml:4: d: must be a mapping of keys to values"]


def test_a_key_given_twice_is_reported_and_the_last_counts():
    root = read("a: 1\nb: 2\na: 3\n")
    assert plain(root) == {"a": "3", "b": "2"}
    assert root.problems.found == ['mesh.yaml:3: a: "a" is given twice']


@pytest.mark.parametrize("text", ["? [a, b]\n: c\n", "? {a: b}\n: c\n", "&x {*x : 1}\n"], ids=["list", "mapping", "itself"])
def test_a_key_that_is_not_a_single_value_is_reported(text: str):
    root = read(text)
    assert plain(root) == {}
    assert root.problems.found == ["mesh.yaml:1: a key must be a single value"]


def test_an_alias_is_the_value_it_names_with_its_own_path():
    root = read("a: &x\n  k: v\nb: *x\n")
    assert plain(root) == {"a": {"k": "v"}, "b": {"k": "v"}}
    assert [node.path for node in root.walk()] == ["", "a", "a.k", "b", "b.k"]
    assert root.mapping()["b"].mapping()["k"].line == 2


def test_a_merge_key_brings_in_what_the_mapping_does_not_say_itself():
    root = read("base: &x {a: 1, b: 2}\nmore:\n  b: 3\n  <<: *x\n  c: 4\n")
    assert plain(root.mapping()["more"]) == {"a": "1", "b": "3", "c": "4"}
    assert root.problems.found == []


def test_a_merge_key_takes_a_list_of_which_the_first_to_have_a_key_gives_it():
    root = read("one: &x {a: 1, b: 1}\ntwo: &y {b: 2, c: 2}\nboth:\n  <<: [*x, *y]\n  d: 3\n")
    assert plain(root.mapping()["both"]) == {"a": "1", "b": "1", "c": "2", "d": "3"}
    assert root.problems.found == []


def test_a_merge_key_of_a_merge_key_is_followed():
    root = read("one: &x {a: 1}\ntwo: &y {<<: *x, b: 2}\nthree: {<<: *y, c: 3}\n")
    assert plain(root.mapping()["three"]) == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize("text", ["<<: 5", "<<: [a]", "<<:"])
def test_a_merge_key_takes_nothing_but_mappings(text: str):
    root = read(text)
    assert plain(root) == {}
    assert root.problems.found == ['mesh.yaml:1: "<<" takes a mapping or a list of mappings']


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [*x]\n",
        "a: &x {b: *x}\n",
        "a: &x {b: [{c: *x}]}\n",
        "a: &x {<<: *x}\n",
        "a: &x {<<: [*x]}\n",
        "a: &x\n  b: &y {<<: *x}\n",
    ],
    ids=["list", "mapping", "deep", "merge", "merge in a list", "merge of a parent"],
)
def test_an_alias_that_refers_to_itself_is_an_error(text: str):
    problem = fatal(text)
    assert problem.startswith("mesh.yaml:1: a")
    assert problem.endswith("an alias refers to itself")


@pytest.mark.parametrize(
    ("first", "line"),
    [
        ("[lol, lol, lol, lol, lol, lol, lol, lol, lol]", "[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]"),
        ("{k: v}", "{{a: {0}, b: {0}, c: {0}}}"),
        ("{}", "{{<<: {0}, <<: {0}, <<: {0}}}"),
        ("{}", "{{<<: [{0}, {0}, {0}]}}"),
    ],
    ids=["lists", "mappings", "merges", "merged lists"],
)
def test_aliases_that_multiply_end_in_an_error_and_not_in_a_hang(first: str, line: str):
    lines = [f"a0: &a0 {first}", *(f"a{level}: &a{level} {line.format(f'*a{level - 1}')}" for level in range(1, 30))]
    assert fatal("\n".join(lines)).endswith("aliases make the document grow past 100000 values")


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, "{a: " * 5000 + "}" * 5000], ids=["lists", "mappings"])
def test_endless_nesting_ends_in_an_error_and_not_in_a_crash(text: str):
    assert fatal(text) == "mesh.yaml: values are nested too deeply"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1, 2", "mesh.yaml:1: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\nb: *nowhere\n", "mesh.yaml:2: not YAML: found undefined alias 'nowhere'"),
        ("a: 1\n---\nb: 2\n", "mesh.yaml:2: not YAML: but found another document"),
        ("a:\n\t- b\n", "mesh.yaml:2: not YAML: found character '\\t' that cannot start any token"),
    ],
    ids=["unclosed", "undefined alias", "two documents", "tab"],
)
def test_bad_syntax_is_reported_with_its_line(text: str, problem: str):
    assert fatal(text) == problem


def test_characters_that_are_no_text_are_reported():
    assert fatal("a: \0").startswith("mesh.yaml: not YAML: unacceptable character #x0000")


def test_a_tag_constructs_nothing_and_is_reported_since_what_it_stands_for_is_not_there():
    root = read("a: !!python/object/apply:os.system ['true']\nb: !vault x\n!c c: [!secret d]\nd: !!binary eA==\n")
    assert plain(root) == {"a": ["true"], "b": "x", "c": ["d"], "d": "eA=="}
    told = "means nothing here: write the value itself"
    assert root.problems.found == [
        f'mesh.yaml:1: a: tag "!!python/object/apply:os.system" {told}',
        f'mesh.yaml:2: b: tag "!vault" {told}',
        f'mesh.yaml:3: tag "!c" {told}',
        f'mesh.yaml:3: c[0]: tag "!secret" {told}',
        f'mesh.yaml:4: d: tag "!!binary" {told}',
    ]


def test_a_tag_of_yaml_itself_says_what_a_text_is_anyway():
    root = read("a: !!str 5\nb: !!int 5\nc: !!map {d: !!seq [! e]}\nf: 2001-02-03\ng: !!null\n")
    assert plain(root) == {"a": "5", "b": "5", "c": {"d": ["e"]}, "f": "2001-02-03", "g": None}
    assert root.problems.found == []


def test_a_mistake_with_a_key_is_told_where_the_key_is_and_not_where_its_value_begins():
    root = read("a: 1\nextra:\n  # why\n\n  b: 2\na:\n\n- c\n")
    root.mapping(["a"])["a"].text()
    assert root.problems.found == [
        'mesh.yaml:6: a: "a" is given twice',
        'mesh.yaml:2: extra: unknown key "extra"; known are a',
        "mesh.yaml:6: a: must be a single value",
    ]
