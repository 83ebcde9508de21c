{#- `expression` is true or NULL in every row. Returns the rows in which it is false. -#}
{% test holds(model, expression) %}
select *
from {{ model }}
where not ({{ expression }})
{% endtest %}
