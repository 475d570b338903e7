/**
 * Ready-made descriptions of published tasks, for the files that their authors publish. Prompts are those of lm-evaluation-harness 0.4,
 * gpt-oss' own evaluations and simple-evals, as `about` says. docs/evaluation.md has where each file comes from.
 */
import type { Json } from '../json/json.ts'

const HARNESS = 'lm-evaluation-harness 0.4.13'
const ABCD = '{{ options[0] }}\n(B) {{ options[1] }}\n(C) {{ options[2] }}\n(D) {{ options[3] }}'

/** ARC as the hub has it, and as its authors publish it (an object `question` with stem and choices). */
const ARC: Json = {
  kind: 'choices',
  id: '{{ id }}',
  prompt: 'Question: {{ question.stem if question is mapping else question }}\nAnswer:',
  choices: "(question.choices | map(attribute='text') | list) if question is mapping else choices.text",
  answer: "((question.choices | map(attribute='label') | list) if question is mapping else choices.label).index(answerKey)",
  about: { prompt: HARNESS, file: 'allenai/ai2_arc' },
}

export const BUILT_IN: Readonly<Record<string, Json>> = {
  hellaswag: {
    kind: 'choices',
    prompt: "{{ hellaswag(activity_label ~ ': ' ~ ctx_a ~ ' ' ~ ctx_b.capitalize()) }}",
    choices: '[hellaswag(endings[0]), hellaswag(endings[1]), hellaswag(endings[2]), hellaswag(endings[3])]',
    answer: 'label | int',
    about: { prompt: HARNESS, file: 'hellaswag_val.jsonl of rowanz/hellaswag' },
  },
  'arc-easy': ARC,
  'arc-challenge': ARC,
  mmlu: {
    kind: 'choices',
    preface: "The following are multiple choice questions (with answers) about {{ subject | replace('_', ' ') }}.\n\n",
    prompt: '{{ question.strip() }}\nA. {{ choices[0] }}\nB. {{ choices[1] }}\nC. {{ choices[2] }}\nD. {{ choices[3] }}\nAnswer:',
    choices: ['A', 'B', 'C', 'D'],
    answer: 'answer',
    group: '{{ subject }}',
    shots: { count: 5, match: 'subject' },
    about: { prompt: `${HARNESS}, the first five examples of each subject`, file: 'cais/mmlu: all/test, and all/dev as examples' },
  },
  lambada: {
    kind: 'last-word',
    prompt: "{{ text.split(' ')[:-1] | join(' ') }}",
    target: "{{ ' ' + text.split(' ')[-1] }}",
    about: { prompt: HARNESS, file: 'EleutherAI/lambada_openai: lambada_test_en.jsonl' },
  },
  wikitext: {
    kind: 'rolling',
    text: '{{ wikitext(page) }}',
    counted: '{{ page }}',
    about: { prompt: HARNESS, file: 'EleutherAI/wikitext_document_level: wikitext-2-raw-v1/test' },
  },
  'wikitext-strided': {
    kind: 'rolling',
    text: '{{ text }}',
    join: '\n\n',
    rule: 'strided',
    about: {
      prompt: "transformers' guide on perplexity: all lines joined by two newlines",
      file: 'Salesforce/wikitext: wikitext-2-raw-v1/test',
    },
  },
  blimp: {
    kind: 'pairs',
    good: '{{ sentence_good }}',
    bad: '{{ sentence_bad }}',
    delimiter: ' ',
    group: '{{ UID }}',
    about: { prompt: `${HARNESS}, a blank before each sentence`, file: 'the .jsonl files of alexwarstadt/blimp' },
  },
  gsm8k: {
    kind: 'generate',
    as: 'completion',
    prompt: 'Question: {{ question }}\nAnswer:',
    shots: { count: 5 },
    shotAnswer: '{{ answer }}',
    stop: ['Question:', '</s>', '<|im_end|>'],
    temperature: 0,
    maxTokens: 256,
    extract: [{ regex: '#### (-?[0-9.,]+)', which: 'first' }, 'number'],
    answer: "answer.split('####')[-1].strip()",
    compare: 'number',
    about: { prompt: `${HARNESS}, the first five examples`, file: 'openai/grade-school-math: test.jsonl, and train.jsonl as examples' },
  },
  'gsm8k-chat': {
    kind: 'generate',
    prompt: '{{ question }}\nPlease reason step by step, and put your final answer within \\boxed{}.',
    extract: ['boxed', 'number'],
    answer: "answer.split('####')[-1].strip()",
    compare: 'number',
    about: { prompt: "Qwen's recommendation for mathematics", file: 'openai/grade-school-math: test.jsonl' },
  },
  aime: {
    kind: 'generate',
    prompt:
      '\n{{ question if question is defined else problem }}\nPlease reason step by step, and put your final answer within \\boxed{}.\n',
    temperature: 1,
    repeats: 4,
    extract: ['boxed', 'integer'],
    answer: 'answer',
    compare: 'number',
    about: { prompt: 'gpt_oss.evals', file: 'opencompass/AIME2025: aime2025-I.jsonl and aime2025-II.jsonl' },
  },
  gpqa: {
    kind: 'generate',
    options: "[record['Correct Answer'], record['Incorrect Answer 1'], record['Incorrect Answer 2'], record['Incorrect Answer 3']]",
    prompt: `{{ Question }}\n\n(A) ${ABCD}\n\nExpress your final answer as the corresponding option 'A', 'B', 'C', or 'D'.`,
    temperature: 1,
    repeats: 8,
    extract: 'letter',
    about: { prompt: 'gpt_oss.evals', file: 'gpqa_diamond.csv' },
  },
  'mmlu-chat': {
    kind: 'generate',
    prompt:
      "Answer the following multiple choice question. The last line of your response should be of the following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering.\n\n{{ Question }}\n\nA) {{ A }}\nB) {{ B }}\nC) {{ C }}\nD) {{ D }}",
    extract: 'letter',
    answer: 'Answer',
    group: '{{ Subject }}',
    about: { prompt: 'openai/simple-evals', file: 'mmlu.csv of simple-evals' },
  },
  humaneval: {
    kind: 'code',
    as: 'completion',
    id: '{{ task_id }}',
    prompt: '{{ prompt }}',
    stop: ['\nclass', '\ndef', '\n#', '\nif', '\nprint'],
    temperature: 0,
    maxTokens: 1024,
    program: '{{ prompt }}{{ completion }}\n{{ test }}\ncheck({{ entry_point }})\n',
    about: { prompt: HARNESS, file: 'HumanEval.jsonl.gz of openai/human-eval' },
  },
  'humaneval-chat': {
    kind: 'code',
    id: '{{ task_id }}',
    prompt:
      'Read the following function signature and docstring, and fully implement the function described. Your response should only contain the code for this function.\n{{ prompt }}',
    entry: '{{ entry_point }}',
    program: '{{ prompt }}{{ completion }}\n{{ test }}\ncheck({{ entry_point }})\n',
    about: { prompt: 'openai/simple-evals', file: 'HumanEval.jsonl.gz of openai/human-eval' },
  },
  healthbench: {
    kind: 'rubric',
    id: '{{ prompt_id }}',
    messages: 'prompt',
    rubrics: 'rubrics',
    about: { prompt: 'openai/simple-evals', file: 'the .jsonl files of HealthBench, HealthBench Hard and Consensus' },
  },
}
