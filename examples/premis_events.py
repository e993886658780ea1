"""Fixity and events of an archive as PREMIS 3: premis_events.py ARCHIVE > premis.xml."""

import sys

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from jinja2 import Environment

PREMIS = """<?xml version="1.0" encoding="UTF-8"?>
{% macro id(name, type, value) -%}
<{{ name }}><{{ name }}Type>{{ type }}</{{ name }}Type><{{ name }}Value>{{ value -}}
</{{ name }}Value></{{ name }}>{%- endmacro -%}
<premis version="3.0" xmlns="http://www.loc.gov/premis/v3"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <object xsi:type="representation">{{ id("objectIdentifier", "archive", archive) }}</object>
{%- for row in renditions if row.state == "archived" %}
  <object xsi:type="file">
    {{ id("objectIdentifier", "key in the archive", row.lr_key) }}
    <objectCharacteristics><fixity><messageDigestAlgorithm>SHA-256</messageDigestAlgorithm>
      <messageDigest>{{ row.lr_sha256 }}</messageDigest></fixity><size>{{ row.lr_bytes }}</size>
      <format><formatDesignation><formatName>
        {{- row.codec }}</formatName></formatDesignation></format>
    </objectCharacteristics>
    <originalName>{{ row.source_key }}</originalName>
    <relationship><relationshipType>derivation</relationshipType>
      <relationshipSubType>has source</relationshipSubType>
      {{ id("relatedObjectIdentifier", "SHA-256", row.source_sha256) }}</relationship>
  </object>
{%- endfor %}
{%- for run in runs if run.job in events %}
  <event>
    {{ id("eventIdentifier", "run", run.run_id) }}
    <eventType>{{ events[run.job] }}</eventType>
    <eventDateTime>{{ run.finished_at.isoformat() }}</eventDateTime>
    <eventDetailInformation><eventDetail>{{ run.software }} {{ run.job -}}
    </eventDetail></eventDetailInformation>
    <eventOutcomeInformation><eventOutcome>
      {{- run.quarantined }} of {{ run.listed }} faulty</eventOutcome></eventOutcomeInformation>
    {{ id("linkingObjectIdentifier", "archive", archive) }}
  </event>
{%- endfor %}
</premis>"""
EVENTS = {"archive": "migration", "backfill": "migration", "scrub": "fixity check"}
archive = sys.argv[1]
tables = {}
for name in ("renditions", "runs"):
    catalog = QueryBuilder().register(name, DeltaTable(f"{archive}/catalog/{name}"))
    tables[name] = pa.table(catalog.execute(f"SELECT * FROM {name}")).to_pylist()
page = Environment(autoescape=True).from_string(PREMIS)
print(page.render(tables, archive=archive, events=EVENTS))
