"""lm-evaluation-harness beside `lineage eval`: the same tasks on the same files, compared outcome by outcome.

python harness-tasks.py write DIR TEXT.txt     data/*.jsonl in the form of published files, made of the sentences of a text, and the
                                               harness' own task files pointed at them (tasks/*.yaml); needs lm_eval 0.4.13
python harness-tasks.py compare DIR OUT...     DIR/mine/NAME.jsonl (`lineage eval --task NAME --out …`) with samples_ev_NAME_*.jsonl in
                                               the --output_path folders OUT of `lm_eval … --include_path DIR/tasks --log_samples`

docs/evaluation.md says which settings have to agree. Nothing of the result is a fixture; the page has what came.
"""
import glob
import json
import os
import random
import re
import sys

ODD = ' "quoted" ( in brackets ) 5 @-@ year @,@ old \'s it N \n = = Part = = \n'


def data(text, write):
    random.seed(7)
    sentences = [s.strip() + '.' for s in re.split('[.!?]', text) if len(s.split()) > 4]
    half = lambda s: ' '.join(s.split()[len(s.split()) // 2:])
    pick = lambda n: [random.choice(sentences) for _ in range(n)]
    rows = []
    for i in range(40):
        sentence, label = pick(1)[0], random.randrange(4)
        endings = [half(s) for s in pick(3)]
        endings.insert(label, half(sentence))
        endings[0] += ' [title] And [substeps] then  it ended.' if i % 5 == 0 else ''
        rows.append(dict(ind=i, activity_label='Playing', ctx_a=' '.join(sentence.split()[: len(sentence.split()) // 2]),
                         ctx_b=random.choice(['the boy', '', 'she']), endings=endings, label=str(label)))
    write('hellaswag', rows)
    rows = []
    for i in range(30):
        n = random.choice([3, 4, 4, 5])
        labels = list(('12345' if i % 3 == 0 else 'ABCDE')[:n])
        rows.append(dict(id=f'q{i}', question='What happened?', choices=dict(text=pick(n), label=labels), answerKey=random.choice(labels)))
    write('arc-easy', rows)
    mmlu = lambda n: [dict(question=f' What is in story {i}? ', subject='high_school_biology',
                           choices=[' '.join(s.split()[:3]) for s in pick(4)], answer=random.randrange(4)) for i in range(n)]
    write('mmlu', mmlu(20))
    write('mmlu-dev', mmlu(6))
    write('lambada', [dict(text=s.rstrip('.')) for s in pick(40)])
    write('blimp', [dict(sentence_good=s, sentence_bad=' '.join(random.sample(s.split(), len(s.split()))), UID='a') for s in pick(40)])
    spaced = lambda n: ' '.join(pick(n)).replace('.', ' . ').replace(',', ' , ')
    write('wikitext', [dict(page=' = Title = \n \n ' + spaced(n) + ODD) for n in (3, 3, 20, 20, 40, 40)])
    gsm = lambda n: [dict(question=f'Lily has {a} apples and gets {b} more. How many are there?', answer=f'{a}+{b}={a + b}\n#### {a + b}')
                     for a, b in [(random.randrange(9), random.randrange(9)) for _ in range(n)]]
    write('gsm8k', gsm(12))
    write('gsm8k-dev', gsm(5))


TASKS = {
    'hellaswag': ('hellaswag/hellaswag.yaml', ''), 'arc-easy': ('arc/arc_easy.yaml', ''), 'lambada': ('lambada/lambada_openai.yaml', ''),
    'blimp': ('blimp/_template_yaml', ''), 'wikitext': ('wikitext/wikitext.yaml', ''),
    'mmlu': ('mmlu/default/_default_template_yaml',
             'num_fewshot: 3\ndescription: "The following are multiple choice questions (with answers) about high school biology.\\n\\n"\n'),
    'gsm8k': ('gsm8k/gsm8k.yaml', 'num_fewshot: 2\nfewshot_config:\n  sampler: first_n\n'),
}
DROPPED = ['tag', 'task', 'dataset_path', 'dataset_name', 'training_split', 'validation_split', 'test_split', 'fewshot_split', 'num_fewshot',
           'should_decontaminate', 'doc_to_decontamination_query', 'metadata']


def tasks(folder):
    import lm_eval
    own = os.path.join(os.path.dirname(lm_eval.__file__), 'tasks')
    for name, source in (('hs', 'hellaswag/utils.py'), ('wt', 'wikitext/preprocess_wikitext.py')):
        open(f'{folder}/tasks/{name}.py', 'w').write(open(f'{own}/{source}').read())
    for name, (source, extra) in TASKS.items():
        text = open(f'{own}/{source}').read()
        for key in DROPPED:
            text = re.sub(rf'(?m)^"?{key}"?:.*\n(  .*\n)*', '', text)
        text = text.replace('!function utils.', '!function hs.').replace('!function preprocess_wikitext.', '!function wt.')
        has_shots = 'num_fewshot' in extra
        shots = f'    dev: {folder}/data/{name}-dev.jsonl\n' if has_shots else ''
        text += f'\ntask: ev_{name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {folder}/data/{name}.jsonl\n{shots}'
        text += 'test_split: test\n' + ('fewshot_split: dev\n' if has_shots else '') + extra
        open(f'{folder}/tasks/ev_{name}.yaml', 'w').write(text)


def compare(folder, outs):
    for name in TASKS:
        files = [f for out in outs for f in glob.glob(f'{out}/**/samples_ev_{name}_*.jsonl', recursive=True)]
        mine = f'{folder}/mine/{name}.jsonl'
        if not files or not os.path.exists(mine):
            print(name, 'not compared')
            continue
        theirs = {r['doc_id']: r for r in map(json.loads, open(sorted(files)[-1]))}
        compared, worst, different = 0, 0.0, 0
        for line in open(mine).readlines()[1:]:
            row = json.loads(line)
            sample = theirs[int(row['id'].lstrip('q'))]
            given = sample['filtered_resps']
            if 'text' in row:
                pairs, flags = [], [sample['resps'][0][0] == row['text']]
            elif name == 'wikitext':
                pairs, flags = [(given[0], row['logprob'], row['tokens'])], []
            elif name == 'lambada':
                pairs, flags = [(given[0][0], row['logprob'], row['tokens'])], [str(given[0][1]) == str(row['acc'] == 1)]
            else:
                pairs = [(g[0], p, t) for g, p, t in zip(given, row['logprobs'], row['tokens'])]
                flags = [str(g[1]) == str(own) for g, own in zip(given, row['greedy'])]
                flags += [sample[m] == row[m] for m in ('acc', 'acc_norm') if m in sample]
            compared += len(pairs) or 1
            worst = max([worst] + [abs(float(a) - b) / t for a, b, t in pairs])
            different += flags.count(False)
        print(f'{name}: {compared} compared, largest difference {worst:.2g} a token, {different} different flags, scores or texts')


if __name__ == '__main__':
    command, folder, *rest = sys.argv[1:]
    folder = os.path.abspath(folder)
    if command == 'compare':
        compare(folder, rest)
    else:
        os.makedirs(f'{folder}/data', exist_ok=True)
        os.makedirs(f'{folder}/tasks', exist_ok=True)
        write = lambda name, rows: open(f'{folder}/data/{name}.jsonl', 'w').write(''.join(json.dumps(r) + '\n' for r in rows))
        data(open(rest[0]).read(), write)
        tasks(folder)
