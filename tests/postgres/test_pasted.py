"""What operators paste: forty broken URLs with their diagnosis, and one good URL in every dress."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.pasted import read_pasted
from tekup_migrate.postgres.url_mistakes import FindingKind
from tests.keymaking import made_jwt, made_secret_key

REF = "abcdefghijklmnopqrst"
OTHER = "tsrqponmlkjihgfedcba"
REGION = "eu-central-1"
DIRECT = f"db.{REF}.supabase.co"
POOLER = f"aws-0-{REGION}.pooler.supabase.com"
USER = f"postgres.{REF}"
F = FindingKind

BROKEN: dict[str, set[FindingKind]] = {
    # The pooler and the direct connection mixed up.
    f"postgresql://{USER}:x1@{DIRECT}:5432/postgres": {F.POOLER_USER_ON_DIRECT_HOST},
    f"postgresql://postgres:x1@{POOLER}:5432/postgres": {F.PLAIN_USER_ON_POOLER_HOST},
    f"postgresql://postgres.{OTHER}:x1@{DIRECT}:5432/postgres": {F.POOLER_USER_ON_DIRECT_HOST, F.REFS_DISAGREE},
    f"postgresql://{USER}:x1@{REF}.supabase.co:5432/postgres": {F.API_HOST},
    f"postgresql://postgres:x1@{REF}.supabase.co/postgres": {F.API_HOST},
    # Another project or region.
    f"postgresql://postgres.{OTHER}:x1@{POOLER}:5432/postgres": {F.OTHER_REF},
    f"postgresql://postgres:x1@db.{OTHER}.supabase.co/postgres": {F.OTHER_REF},
    f"postgresql://{USER}:x1@aws-1-eu-west-3.pooler.supabase.com:5432/postgres": {F.OTHER_REGION},
    f"postgresql://{USER}:x1@aws-0-us-east-1.pooler.supabase.com:6543/postgres": {F.OTHER_REGION, F.TRANSACTION_PORT},
    f"postgresql://postgres.{REF[:-1]}:x1@{POOLER}:5432/postgres": {F.OTHER_REF},
    # Ports and databases.
    f"postgresql://{USER}:x1@{POOLER}:6543/postgres": {F.TRANSACTION_PORT},
    f"postgresql://{USER}:x1@{POOLER}:6543/postgres?pgbouncer=true": {F.TRANSACTION_PORT},
    f"postgresql://postgres:x1@{DIRECT}:6543/postgres": {F.TRANSACTION_PORT},
    f"postgresql://postgres:x1@{DIRECT}:54322/postgres": {F.OTHER_PORT},
    f"postgresql://postgres:x1@{DIRECT}:5432/postgres5": {F.OTHER_DATABASE},
    f"postgresql://{USER}:x1@{POOLER}:5432/{REF}": {F.OTHER_DATABASE},
    # Passwords that should have been encoded.
    f"postgresql://postgres:p@ss@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:p#ss@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:p$ss@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:p/ss@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:p ss@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:p?ss@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:p[s]s@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:100%sure@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    f"postgresql://postgres:p@s/w#r$ d@{DIRECT}:5432/postgres": {F.UNENCODED_PASSWORD},
    # TLS.
    f"postgresql://postgres:x1@{DIRECT}:5432/postgres?sslmode=disable": {F.NO_TLS},
    f"postgresql://postgres:x1@{DIRECT}:5432/postgres?sslmode=allow": {F.NO_TLS},
    f"postgresql://postgres:x1@{DIRECT}:5432/postgres?sslmode=DISABLE": {F.NO_TLS},
    f"postgresql://{USER}:x1@{POOLER}:5432/postgres?sslmode=prefer": {F.NO_TLS},
    f"postgresql://{USER}:x1@{POOLER}:5432/postgres?connect_timeout=9&sslmode=no-verify": {F.NO_TLS},
    # Placeholders.
    f"postgresql://postgres:[YOUR-PASSWORD]@{DIRECT}:5432/postgres": {F.PLACEHOLDER},
    f"postgresql://postgres:<password>@{DIRECT}:5432/postgres": {F.PLACEHOLDER},
    f"postgresql://postgres:...@{DIRECT}:5432/postgres": {F.PLACEHOLDER},
    f"postgresql://postgres:********@{DIRECT}:5432/postgres": {F.PLACEHOLDER},
    "postgresql://postgres:x1@db.<ref>.supabase.co:5432/postgres": {F.PLACEHOLDER},
    "postgresql://postgres:x1@db.[project-ref].supabase.co:5432/postgres": {F.PLACEHOLDER},
    f"postgresql://{USER}:x1@.../postgres": {F.PLACEHOLDER},
    "postgresql://postgres.your-project:x1@aws-0-eu-central-1.pooler.supabase.com:5432/postgres": {
        F.PLACEHOLDER,
        F.PLAIN_USER_ON_POOLER_HOST,
    },
    # Hosts that are none.
    f"postgresql://postgres:x1@db..{REF}.supabase.co:5432/postgres": {F.BROKEN_HOST},
    "postgresql://postgres:x1@db abc.supabase.co:5432/postgres": {F.BROKEN_HOST},
    f"postgresql://postgres:x1@db.{'a' * 64}.example:5432/postgres": {F.BROKEN_HOST},
    # Several at once.
    f"postgresql://{USER}:[YOUR-PASSWORD]@{DIRECT}:6543/postgres?sslmode=disable": {
        F.POOLER_USER_ON_DIRECT_HOST,
        F.PLACEHOLDER,
        F.TRANSACTION_PORT,
        F.NO_TLS,
    },
}
FATAL = {
    F.POOLER_USER_ON_DIRECT_HOST,
    F.PLAIN_USER_ON_POOLER_HOST,
    F.REFS_DISAGREE,
    F.OTHER_REF,
    F.TRANSACTION_PORT,
    F.PLACEHOLDER,
    F.API_HOST,
    F.BROKEN_HOST,
    F.KEY_AS_PASSWORD,
}


def test_there_are_forty_of_them() -> None:
    assert len(BROKEN) >= 40


@pytest.mark.parametrize("text", BROKEN)
def test_every_mistake_is_named_with_its_remedy_and_none_that_is_not_there(text: str) -> None:
    reading = read_pasted(text, ref=REF, region=REGION)
    assert {finding.kind for finding in reading.findings} == BROKEN[text]
    assert all(finding.message and finding.remedy for finding in reading.findings)
    assert {finding.kind for finding in reading.fatal} == BROKEN[text] & FATAL
    assert [finding.fatal for finding in reading.findings] == sorted(
        (finding.fatal for finding in reading.findings), reverse=True
    )


@pytest.mark.parametrize("password", ["a@b", "a#b", "a$b", "a/b", "a b", "a?b", "p@ss/w#rd$ x?", "it's", 'a"b'])
def test_a_password_that_was_not_encoded_is_read_whole_and_not_repeated(password: str) -> None:
    reading = read_pasted(f"postgresql://postgres:{password}@{DIRECT}:5432/postgres")
    assert reading.password is not None
    assert reading.password.reveal() == password
    assert reading.url.host == DIRECT
    assert password not in repr(reading)
    for finding in reading.findings:
        assert password not in finding.message + finding.remedy


def test_the_encoded_form_of_each_character_is_offered() -> None:
    (finding,) = read_pasted(f"postgresql://postgres:a@b#c d@{DIRECT}:5432/postgres").findings
    for part in ("@ → %40", "# → %23", "space → %20"):
        assert part in finding.remedy


def test_an_api_key_is_no_password() -> None:
    for key in (made_jwt(ref=REF, role="service_role"), made_secret_key()):
        url = f"postgresql://postgres@{DIRECT}:5432/postgres"
        beside = read_pasted(url, password=Secret(key, kind="password"))
        inside = read_pasted(url.replace("postgres@", f"postgres:{key}@"))
        assert [finding.kind for finding in beside.fatal] == [F.KEY_AS_PASSWORD]
        assert [finding.kind for finding in inside.fatal] == [F.KEY_AS_PASSWORD]


GOOD = f"postgresql://{USER}@{POOLER}:5432/postgres"
WITH = GOOD.replace("@", ":p%40ss@", 1)
DRESSES = [
    WITH,
    f"  {WITH}\r\n",
    f'"{WITH}"',
    f"'{WITH}'",
    f"`{WITH}`",
    f"“{WITH}”",
    f"{WITH};",
    f'psql "{WITH}"',
    f"psql '{WITH}' -c 'select 1'",
    f"DATABASE_URL={WITH}",
    f'export DATABASE_URL="{WITH}"  # the session pooler',
    f'DATABASE_URL = "{WITH}",',
    f'\ufeff# Supabase\nFOO=bar\n\nDATABASE_URL="{WITH}"\nSUPABASE_URL=https://{REF}.supabase.co\n',
    WITH.replace("postgresql", "postgres"),
    WITH.replace("postgresql", "postgresql+asyncpg"),
    WITH.replace("postgresql", "POSTGRESQL"),
    f"jdbc:postgresql://{POOLER}:5432/postgres?user={USER}&password=p%40ss",
    f"host={POOLER} port=5432 dbname=postgres user={USER} password=p@ss",
    f"host: {POOLER}\nport: 5432\ndatabase: postgres\nuser: {USER}\npassword: p@ss\npool_mode: session\n",
    f"Host={POOLER};Port=5432;Database=postgres;Username={USER};Password=p@ss",
    f"User Id={USER};Password=p@ss;Server={POOLER};Port=5432;Database=postgres",
    f"PGHOST={POOLER}\nPGPORT=5432\nPGUSER={USER}\nPGPASSWORD=p@ss\nPGDATABASE=postgres\n",
    f"Host\n{POOLER}\n\nDatabase name\npostgres\nPort\n5432\nUser\n{USER}\nPassword:\np@ss\n",
    f"host\t{POOLER}\nport\t5432\ndatabase\tpostgres\nuser\t{USER}\npassword\tp@ss\r\n",
    f"export DB_HOST='{POOLER}'\nexport DB_PORT=5432 # session\nDB_USER={USER}\nDB_PASS=p@ss\nDB_NAME=postgres\n",
    f"POSTGRES_HOST={POOLER}\nPOSTGRES_USER={USER}\nPOSTGRES_PASSWORD='p@ss'\nPOSTGRES_DB=postgres\n",
    f'{{"host": "{POOLER}", "port": 5432, "user": "{USER}", "password": "p@ss", "database": "postgres"}}',
    f"host: '{POOLER}',\n  port: 5432,\n  user: '{USER}',\n  password: 'p@ss',\n",
    f"PGPASSWORD='p@ss' psql -h {POOLER} -p 5432 -U {USER} -d postgres",
    f'psql "host={POOLER} user={USER} password=p@ss"',
    f"C:\\pg\\bin\\pg_dump.exe -h {POOLER} -U {USER} --dbname=postgres\nPassword: p@ss",
    f"user={USER} host={POOLER} password=p@ss # from the vault",
]


@pytest.mark.parametrize("text", DRESSES)
def test_a_good_url_is_read_in_every_dress(text: str) -> None:
    reading = read_pasted(text, ref=REF, region=REGION)
    assert str(reading.url) == GOOD
    assert reading.password is not None
    assert reading.password.reveal() == "p@ss"
    assert reading.findings == ()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("password=a b c", "a b c"),
        ("password: a;b, c=d user", "a;b, c=d user"),
        ("password='it\\'s a b'", "it's a b"),
        ('PGPASSWORD="a b # c"', "a b # c"),
        ("Password=a b;Trust Server Certificate=true", "a b"),
        ("password: 100%#sure", "100%#sure"),
        ("password=a;b port=5432", "a;b"),
        ("password='a\\\\b'", "a\\b"),
    ],
)
@pytest.mark.parametrize("place", ["{}\nhost: h.example\nuser: me", "host=h.example user=me {}"])
def test_a_password_beside_its_name_is_taken_whole(written: str, meant: str, place: str) -> None:
    reading = read_pasted(place.format(written))
    assert reading.password is not None
    assert reading.password.reveal() == meant
    assert (reading.url.host, reading.url.user) == ("h.example", "me")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("host=h.example:6543", "h.example:6543"),
        ("host: h.example:6543\nport: 5432", "h.example:5432"),
        ("host=tcp://h.example:6543/", "h.example:6543"),
        ("host=[2001:db8::1]:6543", "[2001:db8::1]:6543"),
        ("host=2001:db8::1", "[2001:db8::1]:5432"),
        ("hostaddr=192.0.2.1 host=h.example", "h.example:5432"),
        ("hostaddr=192.0.2.1", "192.0.2.1:5432"),
    ],
)
def test_a_host_may_have_its_port_behind_it_and_an_address_beside_it(written: str, meant: str) -> None:
    reading = read_pasted(f"{written}\nuser: me\npassword: p")
    assert str(reading.url) == f"postgresql://me@{meant}/postgres"


@pytest.mark.parametrize("text", ["host:\nuser: me\npassword:\nport: 5432", "Host\nUser\nme", "host=\nuser=me"])
def test_a_part_without_a_value_does_not_take_the_next_one(text: str) -> None:
    with pytest.raises(ConnectionFailedError, match="not a connection URL"):
        read_pasted(text)


@pytest.mark.parametrize(
    "text",
    [
        f"psql -h {POOLER} -p 5432 -d postgres -U {USER}",
        f"psql --host={POOLER} --username={USER} --dbname postgres",
        f"/usr/bin/psql -h{POOLER} -U{USER}",
    ],
)
def test_the_flags_of_psql_are_parts_without_a_password(text: str) -> None:
    reading = read_pasted(text, ref=REF, region=REGION)
    assert (str(reading.url), reading.password) == (GOOD, None)


def test_of_several_urls_the_one_that_can_migrate_this_project_is_taken_and_that_is_said() -> None:
    text = "\n".join(
        (
            f"A=postgresql://postgres.{OTHER}:a1@{POOLER}:5432/postgres",
            f"DATABASE_URL=postgresql://{USER}:b2@{POOLER}:6543/postgres?pgbouncer=true",
            f"DIRECT_URL=postgresql://{USER}:c3@{POOLER}:5432/postgres",
        )
    )
    reading = read_pasted(text, ref=REF, region=REGION)
    assert str(reading.url) == GOOD
    assert [finding.kind for finding in reading.findings] == [F.SEVERAL]
    assert "3 connection URLs" in reading.findings[0].message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"https://{REF}.supabase.co", "the project's API"),
        (f"https://supabase.com/dashboard/project/{REF}/settings/database", "the dashboard"),
        ("", "empty"),
        ("\n\n", "empty"),
        ("correct horse battery staple", "host and a user"),
        ("host=db.example port=5432", "host and a user"),
        ("host=db.example user=me port=none", "port"),
        ("host=db.example/data user=me", "one name or address"),
        (f"mysql://me:x@{DIRECT}/x", "host and a user"),
        (f"postgresql://{DIRECT}", "no user"),
        (f"postgresql://:x@{DIRECT}/postgres", "no user"),
        (f"postgresql://postgres:%00@{DIRECT}/postgres", "control character"),
    ],
)
def test_rubbish_is_refused_with_the_reason_and_without_repeating_it(text: str, why: str) -> None:
    with pytest.raises(ConnectionFailedError) as refused:
        read_pasted(text)
    assert why in refused.value.happened
    assert "horse" not in str(refused.value)


@given(st.text(max_size=120))
def test_whatever_is_pasted_is_read_or_refused(text: str) -> None:
    try:
        reading = read_pasted(text, ref=REF, region=REGION)
    except ConnectionFailedError:
        return
    assert reading.url.host
    assert reading.parts


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(["", " ", "\n", '"', "@", ":"]))
def test_nothing_around_a_url_breaks_the_reader(around: str, edge: str) -> None:
    try:
        reading = read_pasted(f"{around}{edge}{WITH}{edge}{around}")
    except ConnectionFailedError:
        return
    assert reading.parts
