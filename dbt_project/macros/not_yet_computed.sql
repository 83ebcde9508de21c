{#- A mart that exists, typed, before its numbers do: no rows, one typed NULL for each column of `columns`. -#}
{% macro not_yet_computed(columns) -%}
    select
    {%- for name, type in columns.items() %}
        cast(null as {{ type }}) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    where false
{%- endmacro %}
