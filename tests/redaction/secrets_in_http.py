# SPDX-License-Identifier: Apache-2.0
"""Kinds of secrets in URLs, headers and attributes."""

from __future__ import annotations

from redaction.kind import JWT, Kind, W


def _url(name: str, sample: str, *stays: str, secrets: tuple[str, ...] = (W,)) -> Kind:
    return Kind("URLs", name, "url", sample, secrets, stays)


URLS = [
    _url("user and password", f"https://bob:{W}@example.com/a", "https://", "@example.com/a", secrets=(W, "bob")),
    _url("token as user", f"https://{W}@example.com/repo.git", "example.com/repo.git"),
    _url(
        "password with a slash, in a database's URL",
        f"postgresql://bob:{W}/x@db.example.com/shop",
        "db.example.com/shop",
    ),
    _url("password with # and ?", f"redis://:{W}#?x@cache.example.com:6379/0", "cache.example.com:6379/0"),
    *(
        _url(
            f"parameter {key}", f"/search?page=2&{key}={W}&sort=asc", "/search?page=2&", f"{key}=REDACTED", "&sort=asc"
        )
        for key in [
            "token",
            "access_token",
            "refresh_token",
            "id_token",
            "key",
            "api_key",
            "apikey",
            "apiKey",
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
            "auth",
            "otp",
            "jwt",
            "SAMLResponse",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "X-Goog-Signature",
            "X-Goog-Credential",
            "AWSAccessKeyId",
        ]
    ),
    _url("percent-encoded name", f"/cb?acc%65ss%5Ftoken={W}&x=1", "&x=1"),
    _url("semicolons between parameters", f"/cb?a=1;token={W};b=2", "a=1;", ";b=2"),
    _url("fragment of OAuth", f"https://app.example.com/cb#access_token={W}&expires_in=3600", "expires_in=3600"),
    _url("route in a fragment", f"https://app.example.com/#/reset?token={W}&step=2", "#/reset?", "step=2"),
    _url("matrix parameter", f"/cart;jsessionid={W}/items?page=1", "/cart;jsessionid=", "/items?page=1"),
    _url(
        "URL in a parameter, encoded",
        f"/login?next=https%3A%2F%2Fx.example%2Fcb%3Ftoken%3D{W}%26a%3D1&b=2",
        "/login?next=https",
        "b=2",
    ),
    _url("URL in a parameter, not encoded", f"/login?next=/cb?token={W}&b=2", "b=2"),
    _url(
        "JSON in a parameter, encoded",
        f"/q?filter=%7B%22password%22%3A%20%22{W}%22%2C%20%22a%22%3A%201%7D&b=2",
        "/q?filter=",
        "b=2",
    ),
    _url("nested parameter", f"/login?user%5Bname%5D=bob&user%5Bpassword%5D={W}", "=bob&"),
    _url("JSON Web Token in the path", f"/verify/{JWT}/done", "/verify/", "/done", secrets=(JWT,)),
    _url(
        "Telegram bot",
        "https://api.telegram.org/bot123456789:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send",
        "/send",
        secrets=("AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",),
    ),
    _url(
        "Slack webhook",
        "https://hooks.slack.com/services/" + "T0A1B2C3D/B4E5F6G7H/" + "aBcDeFgHiJkLmNoPqRsTuVwX",
        "hooks.slack.com",
        secrets=("aBcDeFgHiJkLmNoPqRsTuVwX",),
    ),
]


def _header(name: str, header: str, sample: str, *stays: str, secrets: tuple[str, ...] = (W,)) -> Kind:
    return Kind("Headers", name, f"header {header}", sample, secrets, stays)


HEADERS = [
    _header("Authorization, Bearer", "Authorization", f"Bearer {W}", "Bearer "),
    _header("Authorization, Basic", "authorization", "Basic Ym9iOmh1bnRlcjI=", "Basic ", secrets=("Ym9iOmh1bnRlcjI",)),
    _header("Authorization, AWS Signature 4", "Authorization", f"AWS4-HMAC-SHA256 Credential=AK/x, Signature={W}"),
    _header("Proxy-Authorization", "Proxy-Authorization", f"Basic {W}"),
    *(
        _header(name, name, f"{W}")
        for name in [
            "Cookie",
            "Set-Cookie",
            "X-Api-Key",
            "X-Auth-Token",
            "X-CSRF-Token",
            "X-Amz-Security-Token",
            "X-Vault-Token",
            "Private-Token",
            "X-Goog-Api-Key",
            "Ocp-Apim-Subscription-Key",
            "X-Hub-Signature-256",
            "X-Shopify-Hmac-Sha256",
            "X-Honeycomb-Team",
            "Authentication-Info",
        ]
    ),
    _header("the same in WSGI's spelling", "x_api_key", W),
    _header("Referer", "Referer", f"https://a.example/p?token={W}&q=1", "https://a.example/p?", "q=1"),
    _header("Location", "Location", f"https://b:{W}@a.example/cb?code={W}&state=s", "a.example/cb?", "state=s"),
    _header("Baggage", "baggage", f"tenant=acme,session.token={W},region=eu", "tenant=acme", "region=eu"),
    _header("credentials in any header", "X-Debug", f"sent Bearer {JWT}", "sent Bearer", secrets=(JWT,)),
]


def _attribute(name: str, key: str, sample: object, *stays: str, secrets: tuple[str, ...] = (W,)) -> Kind:
    return Kind("Attributes", name, f"attribute {key}", sample, secrets, stays)


ATTRIBUTES = [
    *(
        _attribute(f"key {key}", key, W)
        for key in [
            "password",
            "user.password",
            "db_password",
            "DB_PASSWORD",
            "userPassword",
            "passwd",
            "secret",
            "client_secret",
            "clientSecret",
            "token",
            "access_token",
            "accessToken",
            "auth.token",
            "api_key",
            "apiKey",
            "x-api-key",
            "private_key",
            "aws_secret_access_key",
            "aws_access_key_id",
            "credentials",
            "session_id",
            "sessionid",
            "session.token",
            "cookie",
            "otp",
            "cvv",
            "authorization",
        ]
    ),
    _attribute("number under a secret key", "card.cvv", 987, secrets=("987",)),
    _attribute("list under a secret key", "user.passwords.password", [W, W]),
    _attribute("captured header", "http.request.header.authorization", [f"Bearer {W}"], "Bearer"),
    _attribute("captured header with a URL", "http.response.header.location", [f"/cb?token={W}"], "/cb?token="),
    _attribute("url.full", "url.full", f"https://bob:{W}@a.example/x?sig={W}&q=1", "a.example/x", "q=1"),
    _attribute("url.query", "url.query", f"q=1&token={W}", "q=1"),
    _attribute("http.target", "http.target", f"/x?token={W}", "/x?token="),
    _attribute("exception.message", "exception.message", f"login failed for password={W}", "login failed"),
    _attribute("command line", "process.command_line", f"python app.py --password {W} --port 80", "--port 80"),
    _attribute(
        "arguments of a command",
        "process.command_args",
        ["app", "--api-key", W, f"--token={W}", "-v"],
        "--api-key",
        "-v",
    ),
    _attribute("password of mysql's client", "process.command_args", ["/usr/bin/mysql", f"-p{W}", "shop"], "shop"),
    _attribute("password of redis-cli", "process.command_args", ["redis-cli", "-a", W, "PING"], "PING"),
    _attribute("map in a log record's body", "body", {"user": "bob", "auth": {"password": W}}, "bob"),
]
