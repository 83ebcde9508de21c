{#- The regime of a transfer cell: is the task matched (MT) or crossed (CT), and likewise the language (ML, CL)? -#}
{% macro regime() -%}
    case when source_task = target_task then 'MT' else 'CT' end
    || '-' || case when source_language = target_language then 'ML' else 'CL' end
{%- endmacro %}
