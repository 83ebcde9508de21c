{#-
    Student's t for any real number of degrees of freedom, as SQL expressions; DuckDB has neither it nor the normal.

    two_sided_p(t, degrees): P(|T| > |t|); of the standard normal where `degrees` is NULL. Given the chi-square below
    it, T is normal, whose tail is Craig's integral (1991); the chi-square's moment generating function then leaves
    (2 / pi) times the integral over 0 < a < pi / 2 of (1 + t^2 / (degrees sin^2 a))^(-degrees / 2). Midpoint rule with
    Sidi's (1993) substitution: relative error below 1e-4, and below 1e-8 where |t| > 1.

    t_quantile_975(degrees): the 0.975 quantile for degrees >= 1, whose logarithm is all but a polynomial in
    1 / degrees, fitted here: relative error below 1e-5.

    t_quantile_of(degrees, tests): the 1 - 0.025 / tests quantile (Bonferroni's). The logarithms of t and of its tail are
    nearly on a line (of the normal: the quantile is Hastings' approximation, 1955), which is drawn from the 0.975
    quantile through that times the ratio of the normal's two: never too small, too large by 1 % at 2 tests and 5 % at 10.
-#}
{% macro two_sided_p(t, degrees) -%}
    {#- The node's place in (0, 1), and the sine of its angle. -#}
    {%- set u = "((node + 0.5) / 32)" -%}
    {%- set sine = "sin(pi() / 2 * (" ~ u ~ " - sin(2 * pi() * " ~ u ~ ") / (2 * pi())))" -%}
    list_avg(list_transform(range(32), lambda node:
        (1 - cos(2 * pi() * {{ u }})) * case
            when {{ degrees }} is null then exp(-pow({{ t }}, 2) / (2 * pow({{ sine }}, 2)))
            else pow(1 + pow({{ t }}, 2) / ({{ degrees }} * pow({{ sine }}, 2)), -{{ degrees }} / 2)
        end
    ))
{%- endmacro %}

{% macro t_quantile_975(degrees) -%}
    exp(
        0.672926098 + 1.210419 / {{ degrees }} + 0.706458 / pow({{ degrees }}, 2) + 0.160127 / pow({{ degrees }}, 3)
        - 0.260010 / pow({{ degrees }}, 4) - 0.026474 / pow({{ degrees }}, 5) + 0.118865 / pow({{ degrees }}, 6)
        - 0.040224 / pow({{ degrees }}, 7)
    )
{%- endmacro %}

{% macro normal_quantile_of(tests) -%}
    (
        sqrt(-2 * ln(0.025 / {{ tests }}))
        - (2.515517 + 0.802853 * sqrt(-2 * ln(0.025 / {{ tests }})) + 0.010328 * -2 * ln(0.025 / {{ tests }}))
        / (
            1 + 1.432788 * sqrt(-2 * ln(0.025 / {{ tests }})) + 0.189269 * -2 * ln(0.025 / {{ tests }})
            + 0.001308 * pow(-2 * ln(0.025 / {{ tests }}), 1.5)
        )
    )
{%- endmacro %}

{% macro t_quantile_of(degrees, tests) -%}
    {%- set first = t_quantile_975(degrees) -%}
    {%- set ratio = '(' ~ normal_quantile_of(tests) ~ ' / ' ~ normal_quantile_of(1) ~ ')' -%}
    case
        when {{ tests }} > 1
            then {{ first }} * pow(
                {{ tests }}, -ln({{ ratio }}) / ln({{ two_sided_p(first ~ ' * ' ~ ratio, degrees) }} / 0.05)
            )
        else {{ first }}
    end
{%- endmacro %}
