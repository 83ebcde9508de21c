{#-
    No two rows agree in all of `columns`; NULLs compare as equal.

    Rows are first grouped by a 64-bit hash, which needs a tenth of the memory that the keys themselves would on tens
    of millions of rows; only rows whose hash repeats are then compared by the keys, so the answer is exact.
-#}
{% test unique_grain(model, columns) %}
{%- set keys = columns | join(', ') %}
with repeated_hashes as (
    select hash({{ keys }}) as key_hash
    from {{ model }}
    group by key_hash
    having count(*) > 1
)

select {{ keys }}, count(*) as n_rows
from {{ model }}
where hash({{ keys }}) in (select key_hash from repeated_hashes)
group by {{ keys }}
having count(*) > 1
{% endtest %}
