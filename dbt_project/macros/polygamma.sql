{#-
    The digamma and trigamma functions and the inverse of the latter, for x > 0, as SQL expressions; DuckDB has none.

    Ten steps of the recurrence, then the asymptotic series (Abramowitz and Stegun 6.3.18, 6.4.12): error below 1e-10.
    The inverse by Newton's method on 1 / trigamma, which is convex (Smyth 2004, appendix): relative error below 1e-9 up to 1e6.
-#}
{% macro digamma(x) -%}
    ln({{ x }} + 10)
    - 1 / (2 * ({{ x }} + 10))
    - 1 / (12 * pow({{ x }} + 10, 2))
    + 1 / (120 * pow({{ x }} + 10, 4))
    - 1 / (252 * pow({{ x }} + 10, 6))
    {%- for k in range(10) %}
    - 1 / ({{ x }} + {{ k }})
    {%- endfor %}
{%- endmacro %}

{% macro trigamma(x) -%}
    1 / ({{ x }} + 10)
    + 1 / (2 * pow({{ x }} + 10, 2))
    + 1 / (6 * pow({{ x }} + 10, 3))
    - 1 / (30 * pow({{ x }} + 10, 5))
    + 1 / (42 * pow({{ x }} + 10, 7))
    {%- for k in range(10) %}
    + 1 / pow({{ x }} + {{ k }}, 2)
    {%- endfor %}
{%- endmacro %}

{% macro tetragamma(x) -%}
    - 1 / pow({{ x }} + 10, 2)
    - 1 / pow({{ x }} + 10, 3)
    - 1 / (2 * pow({{ x }} + 10, 4))
    + 1 / (6 * pow({{ x }} + 10, 6))
    - 1 / (6 * pow({{ x }} + 10, 8))
    {%- for k in range(10) %}
    - 2 / pow({{ x }} + {{ k }}, 3)
    {%- endfor %}
{%- endmacro %}

{% macro trigamma_inverse(y) -%}
    list_reduce(
        list_prepend(0.5 + 1 / cast({{ y }} as double), list_transform(range(12), lambda step: cast({{ y }} as double))),
        lambda x, goal: x + ({{ trigamma('x') }}) * (1 - ({{ trigamma('x') }}) / goal) / ({{ tetragamma('x') }})
    )
{%- endmacro %}
