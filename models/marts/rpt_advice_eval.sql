with final as (
    {{ not_yet_computed({
        'study': 'varchar',
        'origin': 'varchar',
        'variant': 'varchar',
        'prompt': 'varchar',
        'recommender': 'varchar',
        'held_out': 'varchar',
        'k': 'bigint',
        'regret': 'double',
        'ndcg': 'double',
    }) }}
)

select * from final
