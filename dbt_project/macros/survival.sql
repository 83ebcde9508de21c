{#-
    Upper tails of distributions that DuckDB does not have, as SQL expressions.

    gamma_survival(shape, x): the regularised upper incomplete gamma function for x > 0 and shapes of 0.5 to 500, by the
    trapezoid rule on its integral from x to infinity, substituting t = x + exp(v - exp(-v)), after which the integrand
    falls off doubly exponentially on both sides (Takahasi and Mori, 1974). Relative error below 1e-11.

    pearson_survival(z, skewness): of the Pearson type III distribution with mean 0, variance 1 and that skewness, not
    below 0: a shifted gamma of shape 4 / skewness^2. Nearly symmetric ones through Wilson and Hilferty's cube root
    (1931), whose error there is below 1e-5.
-#}
{% macro gamma_survival(shape, x) -%}
    list_sum(list_transform(range(-90, 180), lambda i:
        0.04 * (1 + exp(-0.04 * i)) * exp(
            0.04 * i - exp(-0.04 * i)
            + ({{ shape }} - 1) * ln({{ x }} + exp(0.04 * i - exp(-0.04 * i)))
            - {{ x }} - exp(0.04 * i - exp(-0.04 * i))
            - lgamma({{ shape }})
        )
    ))
{%- endmacro %}

{% macro pearson_survival(z, skewness) -%}
    {%- set shape = 'pow(2 / greatest(' ~ skewness ~ ', 1e-4), 2)' -%}
    {%- set x = '(' ~ shape ~ ' + ' ~ z ~ ' * sqrt(' ~ shape ~ '))' -%}
    {%- set excess = 'pow(' ~ x ~ ' / ' ~ shape ~ ', 1 / 3) - 1 + 1 / (9 * ' ~ shape ~ ')' -%}
    {%- set cube_root = '(3 * sqrt(' ~ shape ~ ') * (' ~ excess ~ '))' -%}
    case
        when {{ x }} <= 0 then 1
        when {{ shape }} <= 500 then {{ gamma_survival(shape, x) }}
        else case when {{ cube_root }} < 0 then 1 else 0 end
            + sign({{ cube_root }}) * {{ two_sided_p(cube_root, 'null') }} / 2
    end
{%- endmacro %}
