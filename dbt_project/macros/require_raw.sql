{# One clear line, instead of an error for every model, where nothing has been computed into this warehouse yet. #}
{% macro require_raw() -%}
    {% if execute and flags.WHICH in ('build', 'run', 'test') %}
        {% set found = run_query(
            "select 1 from information_schema.tables where table_schema = 'raw' and table_name = 'studies'"
        ) %}
        {% if found.rows | length == 0 %}
            {% do exceptions.raise_compiler_error(
                "the warehouse " ~ target.path ~ " has no table raw.studies; run `make compute` first"
            ) %}
        {% endif %}
    {% endif %}
{%- endmacro %}
