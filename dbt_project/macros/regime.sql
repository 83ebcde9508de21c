{#-
    The regime of a transfer cell: is the task matched (MT) or crossed (CT), and likewise the language (ML, CL)? NULL for
    a source of several tasks or languages (mul) or of unknown ones (und), which matches in part.
-#}
{% macro regime() -%}
    case when source_task not in ('mul', 'und') and source_language not in ('mul', 'und') then ''
    end || case when source_task = target_task then 'MT' else 'CT' end
    || '-' || case when source_language = target_language then 'ML' else 'CL' end
{%- endmacro %}
