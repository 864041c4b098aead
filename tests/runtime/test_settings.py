"""Settings are read once from a mapping, and what is wrong is named."""

from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError

MINIMAL = {
    "PALIMPSEST_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "PALIMPSEST_REGISTRY_URL": "http://127.0.0.1:8081",
    "PALIMPSEST_POSTGRES_DSN": "postgresql:///x",
    "PALIMPSEST_OPENSEARCH_URL": "http://127.0.0.1:9200",
    "PALIMPSEST_S3_ENDPOINT": "http://127.0.0.1:9000",
    "PALIMPSEST_S3_ACCESS_KEY": "access",
    "PALIMPSEST_S3_SECRET_KEY": "secret",
    "PALIMPSEST_SECRET_KEY": "0123456789abcdef0123456789abcdef",
}


def test_the_minimum_is_enough() -> None:
    settings = Settings.read(MINIMAL)
    assert settings.kafka.partitions == 24
    assert settings.limits.max_audio_s == 12 * 3600


@pytest.mark.parametrize("name", [name for name in MINIMAL if name != "PALIMPSEST_SECRET_KEY"])
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.read({key: value for key, value in MINIMAL.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTITIONS", "0"),
        ("PARTITIONS", "many"),
        ("TOPIC_PREFIX", "prod"),
        ("DEVICE", "tpu"),
        ("API_PORT", "-1"),
        ("TEMP_QUOTA_BYTES", "1999999999"),
    ],
)
def test_nonsense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"PALIMPSEST_{name}"):
        Settings.read(MINIMAL | {f"PALIMPSEST_{name}": value})


def test_every_upload_has_room() -> None:
    uploads = {"PALIMPSEST_MAX_UPLOAD_BYTES": "30000000000"}
    with pytest.raises(SettingsError, match=r"PALIMPSEST_TEMP_QUOTA_BYTES must be .* at least 30000000000"):
        Settings.read(MINIMAL | uploads)
    limits = Settings.read(MINIMAL | uploads | {"PALIMPSEST_TEMP_QUOTA_BYTES": "30000000000"}).limits
    assert limits.temp_quota_bytes == limits.max_upload_bytes


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    values = {key: value for key, value in MINIMAL.items() if key != "PALIMPSEST_S3_SECRET_KEY"}
    settings = Settings.read(values | {"PALIMPSEST_S3_SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert settings.objects.secret_key == "from a file"


def test_the_prefix_is_in_topics_and_groups() -> None:
    kafka = Settings.read(MINIMAL | {"PALIMPSEST_TOPIC_PREFIX": "court."}).kafka
    assert (kafka.topic("uploads"), kafka.group("assembler")) == ("court.uploads", "court.assembler")
