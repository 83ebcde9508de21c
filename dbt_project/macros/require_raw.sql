{# One clear line, instead of an error for every model, where nothing has been computed into this warehouse yet. #}
{% macro require_raw() -%}
    {% if execute and flags.WHICH in ('build', 'run', 'test') %}
        {% set found = run_query(
            "select 1 from information_schema.tables"
            " where table_catalog = current_database() and table_schema = 'raw' and table_name = 'studies'"
        ) %}
        {% if found.rows | length == 0 %}
            {% set warehouse = env_var('WAREHOUSE', '') or 'warehouse.duckdb' %}
            {% set place = '' if warehouse[0] in '/~' else ' (below the folder where dbt was called)' %}
            {% do exceptions.raise_compiler_error(
                "the warehouse " ~ warehouse ~ place ~ " has no table raw.studies; run `transfer compute` first"
            ) %}
        {% endif %}
    {% endif %}
{%- endmacro %}
