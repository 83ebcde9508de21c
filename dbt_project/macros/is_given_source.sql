{#- Whether rows of a tuned model are of an adapter or a checkpoint that the study's file gives (stg_given_sources);
    `study`: whose column says which study. -#}
{% macro is_given_source(rows, study=none) -%}
    {{ study or rows }}.study = given_sources.study
    {%- for key in ("variant", "source_task", "source_language") %}
    and {{ rows }}.{{ key }} = given_sources.{{ key }}
    {%- endfor %}
    and starts_with({{ rows }}.model, given_sources.model_name || '@')
{%- endmacro %}
