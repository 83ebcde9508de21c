{#-
    What may be said of a change, at a study's harm threshold.

    false_discovery_rates(relation, family, rates): the relation's rows, and for each {p: q} the p values of column p
    after Benjamini and Hochberg (1995) as column q: p times the family's tests over those at most as large, and no more
    than any larger p's. NULL where p is. `family`: columns; each combination of their values is a family.

    harm_p(p, t): the one-sided p value of no harm, from the two-sided `p` of the statistic `t` of that.

    verdict(change): of `change` with ci_low, ci_high, q_value, q_harm and harm_threshold_pp, the first that holds.
-#}
{% macro false_discovery_rates(relation, family, rates) -%}
    select
        * exclude ({% for p in rates %}n_{{ p }}, n_{{ p }}_as_small{{ ", " if not loop.last }}{% endfor %})
        {%- for p, q in rates.items() %},
        case
            when {{ p }} is not null
                then min({{ p }} * n_{{ p }} / n_{{ p }}_as_small) over (
                    partition by {{ family }} order by {{ p }} desc
                )
        end as {{ q }}
        {%- endfor %}
    from (
        select
            *
            {%- for p in rates %},
            count({{ p }}) over (partition by {{ family }}) as n_{{ p }},
            count({{ p }}) over (partition by {{ family }} order by {{ p }}) as n_{{ p }}_as_small
            {%- endfor %}
        from {{ relation }}
    )
{%- endmacro %}

{% macro harm_p(p, t) -%}
    case when {{ t }} < 0 then {{ p }} / 2 else 1 - {{ p }} / 2 end
{%- endmacro %}

{% macro verdict(change) -%}
    case
        when {{ change }}.ci_low is null then null
        when
            {{ change }}.ci_low >= -{{ change }}.harm_threshold_pp and {{ change }}.ci_high <= {{ change }}.harm_threshold_pp
            then 'none'
        when {{ change }}.ci_high < -{{ change }}.harm_threshold_pp and {{ change }}.q_harm <= 0.05 then 'harm'
        when {{ change }}.ci_low > 0 and {{ change }}.q_value <= 0.05 then 'gain'
        else 'undecided'
    end
{%- endmacro %}
