{#-
    Fisher's F for any real numbers of degrees of freedom, as an SQL expression; DuckDB has none.

    upper_tail_of_f(f, degrees, other_degrees): P(F >= f), the regularized incomplete beta function at
    other_degrees / (other_degrees + degrees f). With t = sin^2 a it is the integral of
    sin(a)^(other_degrees - 1) cos(a)^(degrees - 1) below arctan(sqrt(other_degrees / (degrees f))), over the same below
    pi / 2 (Abramowitz and Stegun 6.6). Both sides of that angle by the midpoint rule with Sidi's (1993) substitution,
    relative to the height there. Degrees above 400 count as 400. Absolute error below 1e-3 for degrees above 0.3.
-#}
{% macro upper_tail_of_f(f, degrees, other_degrees) -%}
    {%- set split -%}
        atan(sqrt(least({{ other_degrees }}, 400) / (least({{ degrees }}, 400) * {{ f }})))
    {%- endset -%}
    ({{ side_of_f('0', split, degrees, other_degrees) }})
    / (
        {{ side_of_f('0', split, degrees, other_degrees) }}
        + {{ side_of_f('pi() / 2', split, degrees, other_degrees) }}
    )
{%- endmacro %}

{#- That integral over the side of the angle `split` that ends at `end`. -#}
{% macro side_of_f(end, split, degrees, other_degrees) -%}
    {%- set u = "((node + 0.5) / 48)" -%}
    {%- set angle -%}
        ({{ end }} + ({{ split }} - {{ end }}) * ({{ u }} - sin(2 * pi() * {{ u }}) / (2 * pi())))
    {%- endset -%}
    abs({{ split }} - {{ end }}) * list_sum(list_transform(range(48), lambda node:
        (1 - cos(2 * pi() * {{ u }})) * exp(least(
            600,
            (least({{ other_degrees }}, 400) - 1) * ln(sin({{ angle }}) / sin({{ split }}))
            + (least({{ degrees }}, 400) - 1) * ln(cos({{ angle }}) / cos({{ split }}))
        ))
    ))
{%- endmacro %}
