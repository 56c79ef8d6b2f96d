"""The configuration: nothing needs to be set, every mistake is told at once, and what is printed of it is in step."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faxgw.cli.config import app, effective
from faxgw.config import Config, ConfigError, load
from faxgw.config.model import GIB, MIB, StorageSettings
from faxgw.config.names import settings
from faxgw.config.reading import strange_variables
from faxgw.config.sample import sample, table

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:

    for name in [each for each in os.environ if each.startswith("FAXGW_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "faxgw.toml"


def mistakes(file: Path, text: str = "") -> list[tuple[str, str, str]]:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    return [(each.setting, each.wrong, each.right) for each in caught.value.mistakes]


def test_no_configuration_at_all_is_a_service_with_a_simulated_line() -> None:
    config = load()
    assert config == Config()
    assert [str(each.url) for each in config.lines] == ["sim:15550199"]
    assert config.has_sandbox
    assert config.lines[0].sends and config.lines[0].receives
    assert config.database.private
    assert (config.api.port, config.private.port) == (8443, 8444)
    assert config.spool_keys == Path(f"{config.data_dir}.spool_keys")


def test_the_variables_of_the_contract_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "FAXGW_DATA_DIR": "/srv/fax",
        "FAXGW_SPOOL_KEYS": "/run/fax-keys",
        "FAXGW_API_PORT": "9443",
        "FAXGW_PRIVATE_PORT": "9444",
        "FAXGW_SUBMISSION_PORT": "9587",
        "FAXGW_SUBMISSIONS_PORT": "9465",
        "FAXGW_SANDBOX_SPEED": "50",
    }.items():
        monkeypatch.setenv(name, value)
    config = load()
    assert (config.data_dir, config.spool_keys) == (Path("/srv/fax"), Path("/run/fax-keys"))
    assert (config.api.port, config.private.port, config.sandbox.speed) == (9443, 9444, 50)
    assert (config.submission.port, config.submissions.port) == (9587, 9465)


def test_the_environment_wins_over_the_file_setting_by_setting(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('data_dir = "/from/file"\n[api]\nport = 1\nhost = "::1"\n')
    monkeypatch.setenv("FAXGW_CONFIG", str(file))
    monkeypatch.setenv("FAXGW_API_PORT", "2")
    monkeypatch.setenv("FAXGW_API_ALLOWED", '["10.0.0.0/8"]')
    monkeypatch.setenv("FAXGW_LINES", '[{"name": "a", "url": "class1:/dev/ttyS0"}]')
    config = load()
    assert (config.api.port, config.api.host, str(config.api.allowed[0])) == (2, "::1", "10.0.0.0/8")
    assert config.lines[0].address == "/dev/ttyS0"
    assert not config.has_sandbox
    assert config.data_dir == Path("/from/file")
    assert load(data_dir=Path("/from/option")).data_dir == Path("/from/option")


def test_a_key_of_the_remote_commands_is_no_setting_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAXGW_API_KEY", "fgw_secret")
    monkeypatch.setenv("FAXGW_SERVER", "https://localhost:8443")
    assert load() == Config()
    assert not strange_variables()


def test_every_mistake_is_told_at_once_with_what_is_right(file: Path) -> None:
    told = mistakes(
        file,
        """
dta_dir = "/x"
[api]
prot = 1
port = 99999
tls_minimum = "1.1"
allowed = ["10.0.0.0/8", "ten"]
[[lines]]
name = "Front Desk"
url = "ttyACM0"
ident = "a number that is far too long"
useful = true
""",
    )
    assert [each[0] for each in told] == [
        *("api.port", "api.tls_minimum", "api.allowed.1", "api.prot"),
        *("lines.0.name", "lines.0.url", "lines.0.ident", "lines.0.useful", "dta_dir"),
    ]
    by_setting = {setting: (wrong, right) for setting, wrong, right in told}
    assert by_setting["dta_dir"] == ("there is no such setting", "did you mean data_dir?")
    assert by_setting["api.prot"] == ("there is no such setting", "did you mean api.port?")
    assert by_setting["lines.0.useful"] == ("there is no such setting", "did you mean lines.0.use?")
    assert "65535" in by_setting["api.port"][0]
    assert "class1:/dev/ttyACM0" in by_setting["lines.0.url"][0]


@pytest.mark.parametrize(
    ("text", "setting", "words"),
    [
        ('[database]\nurl = "postgresql://a"', "database", "belong together"),
        ('[database]\nurl = "sqlite:///x"', "database.url", "postgresql://"),
        ('[api]\ncertificate = "x"', "api", "belong together"),
        ('[objects]\nurl = "ftp://x"', "objects.url", "s3://"),
        ("[dispatch]\nlease = 30\nrenew = 20", "dispatch", "at most a third"),
        ('data_dir = "/a"\nspool_keys = "/a/keys"', "", "outside data_dir"),
        ('[[lines]]\nname="a"\nurl="sim:1"\ncoding=["mmr"]', "lines.0", "must have mh"),
        ('[[lines]]\nname="a"\nurl="sim:1"\nchannels=2', "lines.0", "channels is for sip: lines"),
        ('[[lines]]\nname="a"\nurl="sim:1"\n[[lines]]\nname="a"\nurl="sim:2"', "", "two lines have the same name: a"),
        ('[[lines]]\nname="a"\nurl="sim:1"\n[[lines]]\nname="b"\nurl="SIM:1"', "", "two lines have the same port"),
        (
            '[[lines]]\nname="a"\nurl="tape:1"',
            "lines.0.url",
            "no driver for tape: lines; there is one for class1:, sim:",
        ),
        ("data_dir = 7", "data_dir", "path"),
        ('[mail]\nsmarthost = "a.example"', "mail", "mail has an address that it comes from"),
        ('[mail]\nsmarthost = "a.example"\ndirect = true\nsender = "a@b.example"', "mail", "not both"),
        ('[mail]\nsmarthost = "a.example"\nsender = "a@b.example"\nuser = "x"', "mail", "belong together"),
        ('[mail]\ndirect = true\nsender = "a@b.example"\nuser = "x"\npassword = "y"', "mail", "nobody else"),
        ('[mail]\nsender = "a@b\\r\\nBcc: c@d"', "mail.sender", "such as fax@example.com"),
        ('[mail]\nname = "a b"', "mail.name", "such as mail.example.com"),
        ('[mail]\ntls = "none"', "mail.tls", "starttls"),
        (
            '[delivery]\nfolders = ["/srv/out"]',
            "delivery.folders.0",
            "every tenant's: have one for each, as in /srv/out/{tenant}",
        ),
        ('[delivery]\nfolders = ["out/{tenant}"]', "delivery.folders.0", "a whole path"),
        ("[api\n", "", "is not TOML"),
        ("[storage]\nreserve = '1KiB'", "storage.reserve", "1048576"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(file: Path, text: str, setting: str, words: str) -> None:
    ((told, wrong, right),) = mistakes(file, text)
    assert told == setting
    assert words in f"{wrong} {right}"


def test_a_mistaken_variable_is_refused_or_at_least_told(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("FAXGW_API_PROT", "1")
    monkeypatch.setenv("FAXGW_API_ALLOWED", "10.0.0.0/8")
    assert [each[0] for each in mistakes(file)] == ["api.allowed", "api.prot"]
    monkeypatch.delenv("FAXGW_API_PROT")
    monkeypatch.delenv("FAXGW_API_ALLOWED")
    monkeypatch.setenv("FAXGW_DATADIR", "/x")
    assert load() == Config()
    assert [str(each) for each in strange_variables()] == [
        "FAXGW_DATADIR: is no setting and does nothing (did you mean FAXGW_DATA_DIR?)"
    ]


def test_a_file_that_is_not_there_is_said_so(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"faxgw\.toml cannot be read: No such file"):
        load(file)


def test_the_reserve_is_sensible_on_every_disk() -> None:
    by_itself = StorageSettings()
    assert by_itself.keep_free(64 * MIB) == 4 * MIB
    assert by_itself.keep_free(10 * GIB) == 512 * MIB
    assert by_itself.keep_free(1000 * GIB) == GIB
    assert StorageSettings.model_validate({"reserve": "2MiB"}).keep_free(GIB) == 2 * MIB


# ---------------------------------------------------------------------------------------------- sample, table, command


def test_the_sample_is_the_default(file: Path) -> None:
    file.write_text(sample())
    assert load(file) == Config()


def test_everything_in_the_sample_can_be_uncommented(file: Path) -> None:
    file.write_text(re.sub(r"^#(?! )", "", sample(), flags=re.MULTILINE))
    config = load(file)
    given = tomllib.loads(file.read_text())
    assert {*given} == {*Config.model_fields}
    assert config.lines[0].name == "front-desk"
    assert config.storage.reserve == 512 * MIB


def test_the_committed_sample_and_documentation_are_those_of_the_model() -> None:
    assert (ROOT / "faxgw.sample.toml").read_text() == sample(), "run: faxgw config sample > faxgw.sample.toml"
    assert (ROOT / "docs" / "configuration.md").read_text().endswith(table()), "put faxgw.config.sample.table() there"


def test_every_setting_is_described_and_known_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in settings():
        assert setting.description.endswith("."), setting.path
        if setting.variable:
            value = tomllib.loads(f"x = {setting.example}")["x"]
            with monkeypatch.context() as patch:
                patch.setenv(setting.variable, value if isinstance(value, str) else json.dumps(value))
                try:
                    assert load() != Config() or setting.default == setting.example, setting.variable
                except ConfigError as error:
                    assert "belong together" in str(error), setting.variable


def test_every_setting_is_read_by_something() -> None:
    ours = [path for path in (ROOT / "faxgw").rglob("*.py") if path.parent.name not in ("doctor",)]
    code = "\n".join(path.read_text() for path in ours if path.name not in ("model.py", "names.py"))
    readers = {"reserve": "keep_free", "rp_id": "passkey_host"}
    unread = [each for each in settings() if not re.search(rf"\.{readers.get(each.name, each.name)}\b", code)]
    assert not [each.path for each in unread]


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout


def test_check_prints_a_configuration_that_is_the_same_again(file: Path) -> None:
    file.write_text(
        '[api]\nport = 7\nallowed = ["10.0.0.0/8"]\n[storage]\nreserve = "8MiB"\n[[lines]]\nname = "a"\nurl = "sim:1"\n'
    )
    config = load(file)
    code, printed = run("check", file)
    assert code == 0
    file.write_text(printed)
    assert load(file) == config
    code, printed = run("check", "--json", file)
    assert json.loads(printed)["config"]["api"]["port"] == 7


def test_check_hides_secrets(file: Path) -> None:
    file.write_text(
        "[database]\n"
        + "".join(f'{name} = "postgresql://faxgw:CANARY@db/x"\n' for name in ("url", "owner_url", "dispatcher_url"))
        + '[mail]\nsmarthost = "a.example"\nsender = "a@b.example"\nuser = "a"\npassword = "CANARY"\n'
        + '[objects]\nurl = "s3://b"\noptions = { aws_secret_access_key = "CANARY" }\n'
    )
    for arguments in (["check", file], ["check", "--json", file]):
        code, printed = run(*arguments)
        assert code == 0
        assert "aws_secret_access_key" in printed
        assert "CANARY" not in printed
    assert "CANARY" not in repr(load(file)) + effective(load(file))


def test_check_ends_with_2_and_every_mistake(file: Path) -> None:
    file.write_text("[api]\nprot = 1\n[log]\nlevel = 'loud'\n")
    code, printed = run("check", "--json", file)
    assert code == 2
    said = json.loads(printed)
    assert said["ok"] is False
    assert said["mistakes"][0] == {
        "setting": "api.prot",
        "wrong": "there is no such setting",
        "right": "did you mean api.port?",
    }
    assert said["mistakes"][1]["setting"] == "log.level"
    assert run("check", file)[0] == 2


def test_sample_prints_the_sample() -> None:
    assert run("sample") == (0, sample())
