"""People and programs: accounts, workspaces and their members, sign-ins, keys."""

import time

TABLES = """
CREATE TABLE account (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    email_verified {boolean} NOT NULL,
    username TEXT NOT NULL,
    full_name TEXT NOT NULL,
    active {boolean} NOT NULL,
    admin {boolean} NOT NULL,
    password_hash TEXT,
    token_version INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX account_email ON account (email);
CREATE UNIQUE INDEX account_username ON account (username);

CREATE TABLE account_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX account_identity_account_id ON account_identity (account_id);

CREATE TABLE workspace (
    name TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE member (
    workspace TEXT NOT NULL,
    account_id TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, account_id)
);
CREATE INDEX member_account_id ON member (account_id);

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    method TEXT NOT NULL,
    client TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX session_account_id ON session (account_id);

CREATE TABLE refresh_token (
    digest TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    parent TEXT,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    used_by TEXT
);
CREATE INDEX refresh_token_session_id ON refresh_token (session_id);

CREATE TABLE one_time_token (
    digest TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX one_time_token_account_id ON one_time_token (account_id);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    prefix TEXT NOT NULL,
    digest TEXT NOT NULL,
    workspace TEXT NOT NULL,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX api_key_prefix ON api_key (prefix);
CREATE INDEX api_key_account_id ON api_key (account_id);
CREATE INDEX api_key_workspace_id ON api_key (workspace, id);

CREATE TABLE sign_in_count (
    digest TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    at BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
CREATE INDEX sign_in_count_at ON sign_in_count (at);

CREATE TABLE oidc_flow (
    digest TEXT PRIMARY KEY,
    browser TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verifier TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oidc_flow_expires_at ON oidc_flow (expires_at);
"""
#: Where everything is that was there before there were workspaces.
FIRST = "INSERT INTO workspace (name, title, created_at) VALUES ('default', '', {now})"


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    boolean = "SMALLINT" if sqlite else "BOOLEAN"
    for statement in TABLES.replace("{boolean}", boolean).split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
    db.execute_sql(FIRST.replace("{now}", str(time.time_ns() // 1000)))


def down(migrator, db):
    for table in (
        "oidc_flow",
        "sign_in_count",
        "api_key",
        "one_time_token",
        "refresh_token",
        "session",
        "member",
        "workspace",
        "account_identity",
        "account",
    ):
        db.execute_sql(f"DROP TABLE {table}")
