{#-
    The regime of a transfer cell: is the task matched (MT) or crossed (CT), and likewise the language (ML, CL)? NULL for
    a source of several tasks or languages (mul) or of unknown ones (und), which matches in part. `table`: whose columns,
    where several have them.
-#}
{% macro regime(table=none) -%}
    {%- set of = table ~ '.' if table else '' -%}
    case when {{ of }}source_task not in ('mul', 'und') and {{ of }}source_language not in ('mul', 'und') then ''
    end || case when {{ of }}source_task = {{ of }}target_task then 'MT' else 'CT' end
    || '-' || case when {{ of }}source_language = {{ of }}target_language then 'ML' else 'CL' end
{%- endmacro %}
