"""The database's schema, as steps that are applied once each, in order. Never edit a step that was released."""

from __future__ import annotations

import json

from sqlite_utils import Database, Migrations

migrations = Migrations("loradeck")

FIRST = """
create table datasets (
  id text primary key, name text not null unique, trigger text, profile text not null,
  target_model text not null, subject text not null default '', subject_kind text not null default 'person',
  resolution integer not null, categories text not null default '[]', source text not null default '[]',
  history text not null default '[]', created_at text not null, updated_at text not null
);
create table images (
  id text primary key, dataset_id text not null references datasets(id), number integer not null,
  file text not null, original_path text not null, original_name text not null, sha256 text not null,
  copy_sha256 text, phash text, dhash text, status text not null, reasons text not null default '[]',
  facts text not null default '{}', attributes text not null default '{}', sources text not null default '{}',
  crop text, rights text not null default '{}', created_at text not null, updated_at text not null,
  unique (dataset_id, number)
);
create index images_by_dataset on images (dataset_id, status);
create table captions (
  image_id text primary key references images(id), dataset_id text not null references datasets(id),
  text text not null, mode text not null, seen integer not null default 0,
  findings text not null default '[]', updated_at text not null
);
create index captions_by_dataset on captions (dataset_id);
create table sheets (
  code text primary key, of text not null, image_ids text not null, created_at text not null
);
create table reports (
  id text primary key, dataset_id text not null references datasets(id), fingerprint text not null,
  target_model text not null, verdict text not null, report text not null, created_at text not null
);
create index reports_by_dataset on reports (dataset_id, created_at);
create table runs (
  id text primary key, kind text not null, state text not null, spend_state text not null default 'none',
  name text not null default '', dataset_id text, deck_id text, engine text not null default '',
  base_model text not null default '', fingerprint text, spec text not null default '{}',
  waived text not null default '[]', result text, error text, step integer not null default 0,
  steps integer not null default 0, message text not null default '', attempt integer not null default 0,
  cancel_requested integer not null default 0, token text, pid integer, pid_started real,
  lease_until real not null default 0, cost_usd real, created_at text not null, started_at text,
  finished_at text, updated_at text not null
);
create index runs_by_state on runs (state);
create table journal (
  run_id text not null references runs(id), key text not null, value text not null, updated_at text not null,
  primary key (run_id, key)
);
create table leases (
  name text primary key, run_id text not null, token text not null, lease_until real not null
);
create table events (
  id integer primary key, run_id text not null references runs(id), level text not null, message text not null,
  created_at text not null
);
create index events_by_run on events (run_id, id);
create table metrics (
  run_id text not null references runs(id), step integer not null, name text not null, value real,
  created_at text not null, primary key (run_id, step, name)
) without rowid;
create table checkpoints (
  run_id text not null references runs(id), step integer not null, path text not null, sha256 text not null,
  score real, created_at text not null, primary key (run_id, step)
);
create table samples (
  run_id text not null references runs(id), step integer not null, path text not null, prompt text not null,
  created_at text not null, primary key (run_id, path)
);
create table loras (
  id text primary key, name text not null, version integer not null, base_model text not null,
  trigger text, path text not null, sha256 text not null, bytes integer not null, rank integer, steps integer,
  dataset_id text, run_id text, parent_lora_id text, fingerprint text, preview integer not null default 0,
  active integer not null default 0, strength real not null default 1.0, meta text not null default '{}',
  deleted_at text, created_at text not null, updated_at text not null, unique (base_model, name, version)
);
create table decks (
  id text primary key, title text not null, spec text not null, loras text not null default '[]',
  settings text not null default '{}', created_at text not null, updated_at text not null
);
create table visuals (
  id text primary key, deck_id text not null references decks(id), run_id text, slide text not null,
  take integer not null, path text not null, prompt text not null, seed integer not null,
  width integer not null, height integer not null, recipe text not null, sha256 text not null,
  picked integer not null default 1, findings text not null default '[]', meta text not null default '{}',
  created_at text not null
);
create index visuals_by_deck on visuals (deck_id, slide);
create table spend (
  id text primary key, run_id text, state text not null, provider text not null, what text not null,
  fingerprint text not null default '', quote_usd real, max_cost_usd real, actual_usd real,
  price_source text not null default '', price_date text not null default '', provider_id text,
  expires_at text, created_at text not null, updated_at text not null
);
"""


@migrations()
def m001_first(db: Database) -> None:
    """Every table that the main job needs."""
    for statement in filter(str.strip, FIRST.split(";")):
        db.execute(statement)


FOLDERS = {
    "checkpoints": "'runs/' || run_id || '/'",
    "samples": "'runs/' || run_id || '/'",
    "visuals": "'decks/' || deck_id || '/'",
    "loras": "'loras/' || base_model || '/' || name || '-v' || version || '.safetensors'",
}
"""By table, where in the workspace the file of a row lies: the folder that carries its id, or the LoRA's own file."""


@migrations()
def m002_paths_below_the_workspace(db: Database) -> None:
    """Paths of the workspace's own files become relative to it, and runs name their LoRAs by id alone."""
    for table, folder in FOLDERS.items():
        place = f"instr(replace(path, '\\', '/'), '/' || {folder})"
        db.execute(f"update {table} set path = substr(replace(path, '\\', '/'), {place} + 1) where {place} > 0")  # noqa: S608
    for run_id, text in db.execute("select id, spec from runs where kind = 'render'").fetchall():
        spec = json.loads(text)
        for look in [look for visual in spec.get("visuals", []) for look in visual["brush"]["looks"]]:
            look.pop("path", None)
        db.execute("update runs set spec = ? where id = ?", [json.dumps(spec, ensure_ascii=False), run_id])


@migrations()
def m003_looks(db: Database) -> None:
    """What images are compared by is kept; a copy knows what it was made by, and the ground that it was laid on."""
    for statement in (
        "alter table images add column ground text",
        "alter table images add column made text",
        "create table looks (image_id text primary key references images(id), dataset_id text not null "
        "references datasets(id), look blob not null, vector blob not null)",
        "create index looks_by_dataset on looks (dataset_id)",
    ):
        db.execute(statement)


@migrations()
def m004_purchases(db: Database) -> None:
    """Every paid request has a row of its own; a quote knows what it is good for and what is set aside."""
    for statement in (
        "alter table spend add column binding text not null default ''",
        "alter table spend add column worst_usd real",
        "alter table spend add column accepted_at text",
        "create table purchases (id text primary key, run_id text not null references runs(id), "
        "item text not null, state text not null, provider text not null, endpoint text not null, "
        "worst_usd real not null, usd real, provider_id text, handle text not null default '{}', "
        "why text not null default '', created_at text not null, updated_at text not null, unique (run_id, item))",
        "create index purchases_by_provider_id on purchases (provider_id)",
    ):
        db.execute(statement)


@migrations()
def m005_news(db: Database) -> None:
    """That a host sent word of a request by itself; the newest word counts."""
    db.execute(
        "create table news (provider text not null, provider_id text not null, mark text not null, "
        "received_at text not null, primary key (provider, provider_id))"
    )


@migrations()
def m006_picks(db: Database) -> None:
    """Which picture of a comparison's row somebody found best; without a seed it is said of the whole row."""
    db.execute(
        "create table picks (run_id text not null references runs(id), prompt integer not null, seed integer, "
        "variant text not null, by text not null, created_at text not null)"
    )
    db.execute("create index picks_by_run on picks (run_id)")
