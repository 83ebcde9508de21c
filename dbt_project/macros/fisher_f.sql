{#-
    Fisher's F for any real numbers of degrees of freedom, as an SQL expression; DuckDB has none.

    upper_tail_of_f(f, degrees, other_degrees): P(F >= f), the regularized incomplete beta function at
    other_degrees / (other_degrees + degrees f). With t = sin^2 a it is the integral of
    sin(a)^(other_degrees - 1) cos(a)^(degrees - 1) below arctan(sqrt(other_degrees / (degrees f))), over the same below
    pi / 2 (Abramowitz and Stegun 6.6). Both sides of that angle by the midpoint rule with Sidi's (1993) substitution,
    relative to the height there. Degrees above 400 count as 400. Absolute error below 1e-3 for degrees above 0.3.
-#}
{% macro upper_tail_of_f(f, degrees, other_degrees) -%}
    {#- The angle, and one between it and the end of its side. -#}
    {%- set split = "atan(sqrt(least(" ~ other_degrees ~ ", 400) / (least(" ~ degrees ~ ", 400) * " ~ f ~ ")))" -%}
    {%- set angle = "if(node.is_below, 0, pi() / 2) + (" ~ split ~ " - if(node.is_below, 0, pi() / 2)) * node.part" -%}
    {%- set height -%}
        node.weight * if(node.is_below, {{ split }}, pi() / 2 - {{ split }}) * exp(least(
            600,
            (least({{ other_degrees }}, 400) - 1) * ln(sin({{ angle }}) / sin({{ split }}))
            + (least({{ degrees }}, 400) - 1) * ln(cos({{ angle }}) / cos({{ split }}))
        ))
    {%- endset -%}
    (
        select sum({{ height }}) filter (where node.is_below) / sum({{ height }})
        from (
            select
                sides.is_below,
                steps.u - sin(2 * pi() * steps.u) / (2 * pi()) as part,
                1 - cos(2 * pi() * steps.u) as weight
            from (select (i + 0.5) / 48 as u from range(48) as step (i)) as steps
            cross join (select unnest([true, false]) as is_below) as sides
        ) as node
    )
{%- endmacro %}
