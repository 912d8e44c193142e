"""
A service that is careless with secrets in every way that people are: one function for each, called by ``GET /leak/<kind>``.

``python leaky.py POSTGRES REDIS UPSTREAM --db-password SECRET``. The test imports the same file for the names
and for ``secret_of``: each kind has a secret of its own, so that a leak says whose it is.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

LEAKS: dict[str, Callable[[str], Any]] = {}
log = logging.getLogger("leaky")


def leak(function: Callable[[str], Any]) -> Callable[[str], Any]:
    LEAKS[function.__name__] = function
    return function


def secret_of(kind: str) -> str:
    """A secret that looks like none: letters and digits, and only digits where a number is asked for."""
    digest = hashlib.sha256(kind.encode()).digest()
    if "number" in kind:
        return "1" + str(int.from_bytes(digest[:6], "big")).rjust(15, "7")[:12]
    if "card" in kind:
        return with_check_digit("4" + str(int.from_bytes(digest[:7], "big")).rjust(17, "7")[:14])
    return (
        base64.b32encode(digest[:10]).decode().replace("=", "x")[:8] + base64.b16encode(digest[10:14]).decode().lower()
    )


def with_check_digit(digits: str) -> str:
    total = sum(sum(divmod(2 * int(d), 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def jwt(secret: str) -> str:
    """A JSON Web Token whose signature is the secret."""
    return "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiJib2IifQ." + secret + "AbCdEfGhIjKlMnOpQrStUv"


# ---------------------------------------------------------------- PostgreSQL


def sql(statement: str, *args: Any) -> None:
    import psycopg2

    connection = psycopg2.connect(POSTGRES)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, *args)
    finally:
        connection.close()


@leak
def sql_string(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE email = '{secret}'")


@leak
def sql_escape_string(secret: str) -> None:
    sql(rf"SELECT id FROM leaky_users WHERE email = E'a\'{secret}'")


@leak
def sql_unicode_string(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE email = U&'{secret}'")


@leak
def sql_dollar_string(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE email = $x${secret}$x$")


@leak
def sql_number(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE ssn = {secret}")


@leak
def sql_in_list(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE email IN ('a', '{secret}', 'b')")


@leak
def sql_values(secret: str) -> None:
    sql(f"INSERT INTO leaky_users (email, ssn) VALUES ('{secret}', 1), ('{secret}2', 2)")


@leak
def sql_comment(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users -- for {secret}\n /* and {secret} */")


@leak
def sql_role_password(secret: str) -> None:
    sql(f"DROP ROLE IF EXISTS leaky_role; CREATE ROLE leaky_role PASSWORD '{secret}'; DROP ROLE leaky_role")


@leak
def sql_json(secret: str) -> None:
    sql(f"""UPDATE leaky_users SET doc = '{{"token": "{secret}"}}'::jsonb WHERE id = 0""")


@leak
def sql_do_block(secret: str) -> None:
    sql(f"DO $$ BEGIN PERFORM '{secret}'; END $$")


@leak
def sql_parameters(secret: str) -> None:
    sql("SELECT id FROM leaky_users WHERE email = %s", (secret,))


@leak
def sql_named_parameters(secret: str) -> None:
    sql("SELECT id FROM leaky_users WHERE email = %(password)s", {"password": secret})


@leak
def sql_composed(secret: str) -> None:
    from psycopg2 import sql as composed

    sql(
        composed.SQL("SELECT id FROM {} WHERE email = {}").format(
            composed.Identifier("leaky_users"), composed.Literal(secret)
        )
    )


@leak
def sql_execute_values(secret: str) -> None:
    import psycopg2
    from psycopg2.extras import execute_values

    with psycopg2.connect(POSTGRES) as connection, connection.cursor() as cursor:
        execute_values(cursor, "INSERT INTO leaky_users (email, ssn) VALUES %s", [(secret, 3), (secret, 4)])


@leak
def sql_copy(secret: str) -> None:
    import psycopg2

    with psycopg2.connect(POSTGRES) as connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY leaky_users (email) FROM STDIN", io.StringIO(f"{secret}\n"))


@leak
def sql_error_unterminated(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE email = '{secret}")


@leak
def sql_error_quote_inside(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE email = 'O'{secret}' AND id = 1")


@leak
def sql_error_unique(secret: str) -> None:
    sql(f"INSERT INTO leaky_unique VALUES ('{secret}'), ('{secret}')")


@leak
def sql_error_unique_by_parameter(secret: str) -> None:
    sql("INSERT INTO leaky_unique VALUES (%s), (%s)", (secret, secret))


@leak
def sql_error_failing_row(secret: str) -> None:
    sql("INSERT INTO leaky_checked VALUES (%s, NULL)", (secret,))


@leak
def sql_error_foreign_key(secret: str) -> None:
    sql("INSERT INTO leaky_child VALUES (%s)", (secret,))


@leak
def sql_error_wrong_type(secret: str) -> None:
    sql(f"SELECT id FROM leaky_users WHERE id = '{secret}'")


@leak
def sql_error_wrong_type_by_parameter(secret: str) -> None:
    sql("SELECT id FROM leaky_users WHERE id = %s", (secret,))


@leak
def sql_error_raised(secret: str) -> None:
    sql(f"DO $$ BEGIN RAISE EXCEPTION 'no account with password=%', '{secret}'; END $$")


@leak
def sql_error_bad_json(secret: str) -> None:
    sql(f"""SELECT '{{"password": {secret}}}'::jsonb""")


@leak
def sql_dsn_refused(secret: str) -> None:
    import psycopg2

    psycopg2.connect(f"postgresql://leaky:{secret}@127.0.0.1:1/x?connect_timeout=1")


@leak
def sql_dsn_invalid(secret: str) -> None:
    import psycopg2

    psycopg2.connect(f"postgresql://leaky:{secret}@127.0.0.1:1/x?no_such_option=1")


@leak
def sql_dsn_torn(secret: str) -> None:
    import psycopg2

    psycopg2.connect(f"postgresql://leaky:{secret}@word@127.0.0.1:1/x?connect_timeout=1")


# --------------------------------------------------------------------- Redis


def redis() -> Any:
    import redis

    return redis.Redis.from_url(REDIS)


@leak
def redis_value(secret: str) -> None:
    redis().set("leaky:user", secret)


@leak
def redis_key_of_session(secret: str) -> None:
    redis().get(f"session:{secret}")


@leak
def redis_wrong_password(secret: str) -> None:
    redis().execute_command("AUTH", "nobody", secret)


@leak
def redis_hello(secret: str) -> None:
    redis().execute_command("HELLO", "3", "AUTH", "nobody", secret)


@leak
def redis_unknown_command(secret: str) -> None:
    redis().execute_command("NOSUCH", secret, "x")


@leak
def redis_acl(secret: str) -> None:
    redis().execute_command("ACL", "SETUSER", "leaky", "on", f">{secret}")


@leak
def redis_acl_error(secret: str) -> None:
    redis().execute_command("ACL", "SETUSER", "leaky", f"nosuch{secret}")


@leak
def redis_script(secret: str) -> None:
    redis().eval(f"return redis.error_reply('ERR password={secret}')", 0)


@leak
def redis_pipeline(secret: str) -> None:
    pipe = redis().pipeline()
    pipe.set("leaky:a", secret)
    pipe.execute_command("NOSUCH", secret)
    pipe.execute()


@leak
def redis_url_refused(secret: str) -> None:
    import redis

    redis.Redis.from_url(f"redis://:{secret}@127.0.0.1:1/0").ping()


# --------------------------------------------------------------- HTTP client


def get(path: str, **options: Any) -> None:
    import requests

    requests.get(f"{UPSTREAM}{path}", timeout=10, **options)


@leak
def url_userinfo(secret: str) -> None:
    import requests

    requests.get(UPSTREAM.replace("://", f"://bob:{secret}@") + "/ok", timeout=10)


def in_parameter(name: str) -> None:
    def function(secret: str) -> None:
        get(f"/ok?page=2&{name}={secret}&size=50")

    function.__name__ = f"url_parameter_{name}"
    leak(function)


for _name in [
    "token",
    "access_token",
    "api_key",
    "apikey",
    "key",
    "secret",
    "client_secret",
    "password",
    "passwd",
    "pwd",
    "code",
    "sig",
    "signature",
    "session",
    "sessionid",
    "jwt",
    "auth",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Goog-Signature",
    "AWSAccessKeyId",
    "id_token",
    "refresh_token",
    "otp",
]:
    in_parameter(_name)


@leak
def url_fragment(secret: str) -> None:
    get(f"/ok#access_token={secret}")


def in_header(name: str, form: str = "{}") -> None:
    def function(secret: str) -> None:
        get("/ok", headers={name: form.format(secret), "X-Request-Id": "r-17"})

    function.__name__ = f"header_{name}"
    leak(function)


for _name, _form in (
    ("Authorization", "Bearer {}"),
    ("Proxy-Authorization", "Basic {}"),
    ("Cookie", "theme=dark; sid={}"),
    ("X-Api-Key", "{}"),
    ("X-Auth-Token", "{}"),
    ("X-Amz-Security-Token", "{}"),
    ("X-Csrf-Token", "{}"),
    ("Referer", "https://a.example/x?token={}&page=2"),
    ("X-Forwarded-Uri", "/x?api_key={}"),
    ("Baggage", "session={},user=7"),
):
    in_header(_name, _form)


@leak
def response_set_cookie(secret: str) -> None:
    get(f"/says?Set-Cookie=sid%3D{secret}%3B%20HttpOnly")


@leak
def response_location(secret: str) -> None:
    get(f"/says?Location=/ok%3Ftoken%3D{secret}", allow_redirects=False)


@leak
def redirect_followed(secret: str) -> None:
    get(f"/moved?token={secret}")


@leak
def client_refused(secret: str) -> None:
    import requests

    requests.get(f"http://127.0.0.1:1/x?token={secret}", timeout=2)


@leak
def client_bad_header(secret: str) -> None:
    get("/ok", headers={"Authorization": f"Bearer {secret}\n"})


@leak
def client_proxy(secret: str) -> None:
    import requests

    proxy = f"http://bob:{secret}@127.0.0.1:1"
    requests.get("http://a.example/x", proxies={"http": proxy}, timeout=2)


# ---------------------------------------------------- exceptions and messages


class ApiError(Exception):
    pass


MESSAGES = {
    "assigned": "cannot log in with password={} and user=bob",
    "dictionary": "bad configuration {{'user': 'bob', 'password': '{}', 'port': 5432}}",
    "json": 'rejected {{"api_key":"{}","limit":10}}',
    "yaml": "database:\n  password: {}\n  host: db\n",
    "library": "ApiError(401): invalid api_key={} for project 7",
    "bearer": "401 for Bearer {}",
    "url": "GET https://bob:{}@a.example/x failed",
    "url_parameter": "GET https://a.example/x?token={}&page=2: 500",
    "database_url": "cannot connect to postgresql://app:{}@db:5432/shop",
    "environment": "env: PGPASSWORD={} PGHOST=db",
    "odbc": "Server=db;Uid=sa;Pwd={};Database=x",
    "cookie": "> Cookie: theme=dark; sid={}\n> Host: a.example",
    "xml": "<login><user>bob</user><password>{}</password></login>",
    "command": "failed: mysql -u root -p{} shop",
    "option": "failed: backup --password {} --port 80",
    "card": "payment with {} was declined",
}


def in_message(name: str) -> None:
    def function(secret: str) -> None:
        raise ApiError(MESSAGES[name].format(secret))

    function.__name__ = f"exception_{name}"
    leak(function)


for _name in MESSAGES:
    in_message(_name)


@leak
def exception_jwt(secret: str) -> None:
    raise ApiError(f"token {jwt(secret)} has expired")


@leak
def exception_private_key(secret: str) -> None:
    raise ApiError("cannot read -----BEGIN " + f"PRIVATE KEY-----\nMIIE{secret}vQIBADANBgkq\n-----END PRIVATE KEY-----")


@leak
def exception_issuers_key(secret: str) -> None:
    raise ApiError("key gh" + f"p_{secret}AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"[:40] + " was revoked")


@leak
def exception_cause(secret: str) -> None:
    try:
        {}[f"session:{secret}"]
    except KeyError as error:
        raise ApiError("no session") from error


@leak
def exception_group(secret: str) -> None:
    error = ApiError("several")
    error.add_note(f"password={secret}") if hasattr(error, "add_note") else None
    raise error


@leak
def exception_of_subprocess(secret: str) -> None:
    subprocess.run([sys.executable, "-c", "raise SystemExit(3)", "--password", secret], check=True)


@leak
def exception_source_line(secret: str) -> None:
    exec(compile(f"login('bob', password='{secret}')", f"<login password={secret}>", "exec"))


# ---------------------------------------------------------------- spans by hand


def span() -> Any:
    from opentelemetry import trace

    return trace.get_current_span()


@leak
def attribute_of_the_api(secret: str) -> None:
    span().set_attribute("user.password", secret)


@leak
def attribute_of_a_number(secret: str) -> None:
    span().set_attribute("user.pin", int(secret))


@leak
def attribute_of_ours(secret: str) -> None:
    import tellwhy

    tellwhy.annotate({"auth_token": secret, "order.id": 7})


@leak
def attribute_list(secret: str) -> None:
    span().set_attribute("api_keys", [secret, "b"])


@leak
def attribute_json(secret: str) -> None:
    span().set_attribute("payload", json.dumps({"password": secret, "limit": 10}))


@leak
def attribute_text(secret: str) -> None:
    span().set_attribute("note", f"tried Bearer {secret}")


@leak
def attribute_url(secret: str) -> None:
    span().set_attribute("callback.url", f"https://a.example/x?token={secret}&page=2")


@leak
def event_attributes(secret: str) -> None:
    span().add_event("login", {"password": secret, "user": "bob"})


@leak
def status_description(secret: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span().set_status(Status(StatusCode.ERROR, f"password={secret} was refused"))


@leak
def recorded_exception(secret: str) -> None:
    span().record_exception(ApiError(f"api_key={secret}"), attributes={"token": secret})


@leak
def reason_of_failure(secret: str) -> None:
    import tellwhy

    tellwhy.fail(f"declined for password={secret}")


@leak
def name_of_a_span(secret: str) -> None:
    import tellwhy

    with tellwhy.span(f"GET https://bob:{secret}@a.example/x"):
        pass


@leak
def traced_argument(secret: str) -> None:
    import tellwhy

    @tellwhy.traced("login", capture="all")
    def login(user: str, password: str) -> None:
        pass

    login("bob", secret)


@leak
def link_attributes(secret: str) -> None:
    from opentelemetry import trace

    link = trace.Link(trace.get_current_span().get_span_context(), {"token": secret})
    trace.get_tracer("leaky").start_span("linked", links=[link]).end()


@leak
def instrumentation_of_others(secret: str) -> None:
    from opentelemetry import trace

    tracer = trace.get_tracer("opentelemetry.instrumentation.other")
    attributes = {
        "db.system": "mysql",
        "db.statement": f'SELECT * FROM accounts WHERE pw = "{secret}"',
        "http.url": f"https://bob:{secret}@a.example/x?sig={secret}",
        "http.request.header.authorization": [f"Basic {secret}"],
        "messaging.destination.url": f"amqp://bob:{secret}@mq/v",
    }
    tracer.start_span("SELECT", attributes=attributes).end()


@leak
def baggage_as_attributes(secret: str) -> None:
    from opentelemetry import baggage

    for key, value in baggage.get_all(baggage.set_baggage("session_token", secret)).items():
        span().set_attribute(f"baggage.{key}", str(value))


@leak
def own_pattern(secret: str) -> None:
    span().set_attribute("customer", f"KD-{secret} of Rome")


# ------------------------------------------------------------------------ logs


@leak
def log_message(secret: str) -> None:
    log.warning("login with password=%s from %s", secret, "10.0.0.1")


@leak
def log_dictionary(secret: str) -> None:
    log.warning("config: %s", {"api_key": secret, "port": 80})


@leak
def log_extra(secret: str) -> None:
    log.warning("login", extra={"api_key": secret, "order_id": 7})


@leak
def log_exception(secret: str) -> None:
    try:
        raise ApiError(f"client_secret={secret}")
    except ApiError:
        log.exception("call failed")


def application() -> Any:
    import flask

    app = flask.Flask("leaky")

    @app.get("/leak/<kind>")
    def do(kind: str) -> str:
        LEAKS[kind](secret_of(kind))
        return "ok"

    @app.get("/in/<path:rest>")
    def comes_in(rest: str) -> Any:
        response = flask.jsonify(len(rest))
        for name in ("Set-Cookie", "Location", "X-Api-Key"):
            if name in flask.request.args:
                response.headers[name] = flask.request.args[name]
        return response

    return app


if __name__ == "__main__":
    POSTGRES, REDIS, UPSTREAM = sys.argv[1:4]
    sql(
        "CREATE TABLE leaky_users (id serial PRIMARY KEY, email text, ssn numeric, doc jsonb);"
        "CREATE TABLE leaky_unique (email text UNIQUE);"
        "CREATE TABLE leaky_checked (email text, name text NOT NULL);"
        "CREATE TABLE leaky_child (email text REFERENCES leaky_unique (email))"
    )
    application().run(port=0)
