{#- A number for each target, and for all targets together, of what the columns `keys` tell apart. -#}
{% macro target_row_number(keys) -%}
    cast(dense_rank() over (
        order by
            {{ keys }}, is_one_target, is_trained_cell,
            case when is_one_target then target_task end, case when is_one_target then target_language end
    ) as integer)
{%- endmacro %}

{#- Whether a row is of one target, or of all where there are several: of one, all would say it twice. -#}
{% macro says_no_target_twice(keys) -%}
    is_one_target
    or min(row(target_task, target_language)) over (
        partition by {{ keys }}, is_one_target, is_trained_cell
    ) is distinct from max(row(target_task, target_language)) over (
        partition by {{ keys }}, is_one_target, is_trained_cell
    )
{%- endmacro %}
