{#-
    Moderation of variances by empirical Bayes, as SQL expressions (Smyth 2004, section 6.2, limma's squeezeVar): many
    variances, each with few degrees of freedom, share a prior that is told from the moments of their logarithms.

    log_variance(variance, median_variance, degrees): an unbiased logarithm; a variance of 0 stands at a hundred
    thousandth of the median. The excess of their spread is its variance less the mean of trigamma(degrees / 2).

    prior_degrees(excess): NULL, for infinite, where the variances differ no more than chance makes them.

    prior_variance(excess, mean_log, mean_variance, prior_degrees): of infinite degrees, the mean of the variances.

    own_prior_degrees(variance, degrees, prior_variance, prior_degrees): the prior's degrees for one variance. One that
    lies in the upper half of what the prior foresees gets the share 2 P(F >= variance / prior_variance) of them, so
    that a unit unlike the others keeps its own (after Phipson et al. 2016, robust empirical Bayes).

    moderated_variance(variance, degrees, prior_variance, prior_degrees): the posterior mean; the prior's where
    `degrees` is NULL.
-#}
{% macro log_variance(variance, median_variance, degrees) -%}
    ln(greatest({{ variance }}, 1e-5 * greatest({{ median_variance }}, 1e-9)))
    - ({{ digamma('(' ~ degrees ~ ' / 2)') }})
    + ln({{ degrees }} / 2)
{%- endmacro %}

{% macro prior_degrees(excess) -%}
    case when {{ excess }} > 0 then 2 * {{ trigamma_inverse(excess) }} end
{%- endmacro %}

{% macro prior_variance(excess, mean_log, mean_variance, prior_degrees) -%}
    case
        when {{ excess }} > 0
            then exp({{ mean_log }} + ({{ digamma('(' ~ prior_degrees ~ ' / 2)') }}) - ln({{ prior_degrees }} / 2))
        else {{ mean_variance }}
    end
{%- endmacro %}

{% macro own_prior_degrees(variance, degrees, prior_variance, prior_degrees) -%}
    {{ prior_degrees }} * least(
        1, 2 * {{ upper_tail_of_f(variance ~ ' / ' ~ prior_variance, degrees, prior_degrees) }}
    )
{%- endmacro %}

{% macro moderated_variance(variance, degrees, prior_variance, prior_degrees) -%}
    case
        when {{ prior_degrees }} is null or {{ degrees }} is null then {{ prior_variance }}
        else ({{ degrees }} * {{ variance }} + {{ prior_degrees }} * {{ prior_variance }})
            / ({{ degrees }} + {{ prior_degrees }})
    end
{%- endmacro %}
