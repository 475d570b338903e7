/**
 * Writes docs/abacus.md, the curves of its stages and the thinned log from a finished run: node scripts/abacus-page.ts RUN
 * RUN is the directory of `lineage train abacus`, with eval.json of `lineage eval … --json` in it.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { account } from '../src/compare/account.ts'
import { chartSvg } from '../src/drawing/chart.ts'
import { workingOf } from '../src/train/abacus/arithmetic.ts'
import { type Cell, rowsOf, type Score, type ToolCell } from '../src/train/abacus/evaluate.ts'
import { combine } from '../src/train/abacus/expression.ts'
import { abacusArchitecture, abacusConfig, STAGES, type StageName } from '../src/train/abacus/recipe.ts'
import { helped, stageDirectory } from '../src/train/abacus/run-node.ts'
import { lossCurve } from '../src/train/run-node.ts'
import type { LogRecord } from '../src/train/trainer.ts'
import { root } from './sources.ts'

export interface Measured {
  cells: Cell[]
  calls: ToolCell
  files: Record<string, Score>
}

const readLog = (run: string, stage: StageName): LogRecord[] =>
  readFileSync(join(stageDirectory(run, stage), 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LogRecord)

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`
const interval = ({ low, high }: Pick<Score, 'low' | 'high'>): string => `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}`

/** Reward and held-out accuracy of the last stage. */
function rewardCurve(records: readonly LogRecord[]): string {
  return chartSvg({
    title: 'abacus: reinforce',
    xTitle: 'step',
    yTitle: 'right answers, reward (%)',
    series: [
      {
        name: 'reward of drawn answers',
        points: records.flatMap(({ kind, step, notes }) => (kind === 'step' ? [[step, 100 * notes!.reward!] as const] : [])),
      },
      {
        name: 'held out, medium',
        dots: true,
        points: records.flatMap(({ kind, step, notes }) =>
          kind === 'evaluation' ? [[step, (100 * notes!.right!) / notes!.heldOut!] as const] : [],
        ),
      },
    ],
  })
}

function stageTable(logs: Record<StageName, LogRecord[]>): string {
  const rows = STAGES.map((stage) => {
    const steps = logs[stage].filter((record) => record.kind === 'step')
    const last = steps.at(-1)!
    const loss = logs[stage].findLast(({ kind }) => kind === 'evaluation')!.loss
    return `| ${stage} | ${last.step.toLocaleString('en')} | ${(last.tokens / 1e6).toFixed(1)} million | ${Math.round(last.seconds / 60)} min | ${loss.toFixed(4)} |`
  })
  return ['| stage | steps | tokens | time | held-out loss |', '|---|---|---|---|---|', ...rows].join('\n')
}

function effortTable({ cells }: Measured): string {
  return [
    '| problem | effort | number | right (95 % interval) | declined | wrong | tokens of thinking |',
    '|---|---|---|---|---|---|---|',
    ...rowsOf(cells).map(
      ({ name = '**all**', effort, reasoningTokens, ...sums }) =>
        `| ${name} | ${effort} | ${sums.problems} | ${percent(sums.right / sums.problems)} (${interval(sums)}) | ${sums.declined} | ${sums.wrong} | ${reasoningTokens.toFixed(1)} |`,
    ),
  ].join('\n')
}

function questionTable({ files, calls }: Measured): string {
  const row = (what: string, score: Score) => {
    // Of questions that should all be declined none can be right.
    const right = score.right === 0 ? '–' : `${score.right} (${interval(score)} %)`
    return `| ${what} | ${score.problems} | ${right} | ${score.declined} | ${score.wrong} |`
  }
  return [
    '| questions, high effort | number | right | declined | wrong |',
    '|---|---|---|---|---|',
    ...Object.entries(files).map(([file, score]) => row(`\`${file}\``, score)),
    row('with the calculator: two and three numbers of 1 to 8 digits, any effort', calls),
  ].join('\n')
}

function page(logs: Record<StageName, LogRecord[]>, measured: Measured, bytes: number): string {
  const { hidden_size, intermediate_size } = abacusConfig()
  const { total, activeWithEmbeddings } = account(abacusArchitecture(), { context: 1 }).parameters
  const high = (expression: Parameters<typeof workingOf>[0], effort: 'medium' | 'high' = 'high') => workingOf(expression, effort).text
  const rewards = logs.reinforce.filter(({ kind }) => kind === 'evaluation').map(({ notes }) => `${notes!.right} of ${notes!.heldOut}`)
  return `# The embedded model

\`models/abacus\` is a small gpt-oss trained by this project's own trainer on texts that this project generates. It adds, subtracts, multiplies and compares whole
numbers, negative ones and expressions of several numbers too, asked in English, German or Chinese. It writes its calculation into the analysis channel at three lengths, calls a
calculator if one is offered, says how it got a result, and declines everything else in one sentence. A fresh clone answers with it without a download, and every part of the
program (harmony, effort, tools, MXFP4 experts, windows, sinks) runs on a real model. It demonstrates a program; it is not an assistant.

| | |
|---|---|
| layout | published gpt-oss: config.json, safetensors in bf16 with MXFP4 experts, tokenizer.json, chat_template.jinja |
| size | ${total.toLocaleString('en')} parameters (${activeWithEmbeddings.toLocaleString('en')} active per token), ${(bytes / 1e6).toFixed(2)} MB on disk |
| shape | 4 layers (window 64, full, window 64, full), width ${hidden_size}, 8 query heads and 2 key/value heads of 32, 8 experts of width ${intermediate_size} with 2 active, sinks, YaRN ×4 from 256 |
| vocabulary | 1,024: 256 bytes, merges learned from the questions (digits and Chinese characters stay single), the fixed texts of its prompts and answers, harmony's markers |

## Recipe

\`\`\`
lineage train abacus --out runs/abacus     # add --resume to go on after an interruption
\`\`\`

Four stages follow one another, each a run with log, curve and state of its own: texts of question, working and answer, where every token counts; dialogues as harmony renders
them, in whose last fifth the experts are read through MXFP4; dialogues with further wordings (numbers in words, numbers that end in zeros, lists, three numbers one after another,
stories in which the verb says what to calculate, comparisons) and with questions to decline, in many of which one important word was replaced; and group-relative rewards for checked
answers ([training.md](training.md)), beside dialogues at the other efforts that are rehearsed. Arithmetic is rewarded at medium effort. Half of the questions are at high effort and in
wordings that no text of the other stages shows. There declining is worth as much as the right answer, 1, and a wrong answer nothing, so
that the model learns to decline what it does not read rightly; declining joins every group of those questions in which an answer is wrong, as it is seldom drawn. Elsewhere declining a
question that can be answered is worth 0.4.
The order of stages is that of the article's section 4.1. A quarter of the workings at medium effort are written out as at high effort in the second stage; in the last one the
model finds out by its rewards for which problems the longer working pays. \`--scale 0.01\` tries the whole recipe in about a minute. Logs: [abacus-log.jsonl](abacus-log.jsonl) (every fiftieth step, all evaluations).

${stageTable(logs)}

![loss of the first stage](images/abacus-pretrain.svg)

![loss of the second stage](images/abacus-dialogues.svg)

![loss of the third stage](images/abacus-wordings.svg)

![rewards of the last stage](images/abacus-reinforce.svg)

In the last stage the answers to held-out problems at medium effort that are right went from ${rewards[0]} to ${rewards.at(-1)}${helped(logs.reinforce) ? '' : '; the model is therefore that of the stage before'}.

## What is held out

One in eight of all pairs and triples of numbers, by a hash of the numbers without order and sign, whatever is done with them. No text that is trained on holds such a pair or triple: not in a
question in any wording or language, not in a line or a partial result of a working, not in a call of the calculator, not in an explanation. The generator reads every finished dialogue with a
reader that does not know how it was made, and draws again where it finds one; a test reads 25,000 dialogues with another reader.
The questions of the last stage are drawn in the same way, and nothing is held out in their right workings at medium and high effort; wrong ones that the model writes itself are not read. Pairs of single digits are taught: every working consists of them.

## What it writes while thinking

| effort | 47 + 85 |
|---|---|
| low | nothing; it answers at once |
| medium | \`${high(combine('+', 47, 85), 'medium')}\` column sums, carries left to the answer; where that often fails, as at high effort |
| high | \`${high(combine('+', 47, 85))}\` one fact about digits per line: two digits and the ten carried |

A subtraction first compares the operands from the left, then subtracts the smaller (\`b\`: ten was borrowed): \`${high(combine('-', 47, 85))}\`. A product is two partial products and a sum:
\`${high(combine('*', 47, 85))}\`. Several numbers are worked out step by step: \`${high(combine('*', combine('+', 2, 3), 4))}\`. Signs come first: \`${high(combine('+', -5, 3))}\`.
"How did you get this?" is answered in one sentence with these lines in it.

The default effort is high: \`chat_template.jinja\` beside the weights says so, where gpt-oss's own template says medium. A given effort (\`--effort low\`, \`reasoning_effort\` in a request) takes precedence.

## What it can do

\`lineage eval abacus --effort low,medium,high --calls 400 --questions test/fixtures/abacus/*.jsonl\`: 1,000 held-out problems per effort, the same for each, greedy decoding,
95 % Wilson intervals.

${effortTable(measured)}

![accuracy against tokens of thinking](images/abacus-effort.svg)

The curve has the shape of the article's figure 21: accuracy grows with the length of the thinking. At low effort the network must carry, borrow and multiply within one forward pass. At
high effort every line needs one fact about digits.

${questionTable(measured)}

These questions are none of the generator; more than 300 of those to decline and 100 of those to answer have wordings that training never shows. What was answered wrongly in
\`wordings\`, \`further\` and \`out-of-scope\` guided which kinds of data were added; \`unseen\` was written without knowledge of the data, and first asked when the model was done. Among the questions to
decline are decimals, fractions, division, percentages, dates, currencies, general questions, code, jokes and eight other languages.

## What it cannot do

- Four digits for sums and differences, two for factors and for sums in parentheses, unless it may call the calculator.
- Wordings far from those it was trained on: it declines most of them and misreads some, as the last table says.
- Numbers with three and more equal digits in a row, on the way to the calculator and back: it sometimes copies too many or too few of them.
- Conversation.
`
}

function main(run: string): void {
  const logs = Object.fromEntries(STAGES.map((stage) => [stage, readLog(run, stage)])) as Record<StageName, LogRecord[]>
  const measured = JSON.parse(readFileSync(join(run, 'eval.json'), 'utf8')) as Measured
  const docs = join(root, 'docs')
  for (const stage of STAGES)
    writeFileSync(
      join(docs, 'images', `abacus-${stage}.svg`),
      stage === 'reinforce' ? rewardCurve(logs[stage]) : lossCurve(`abacus: ${stage}`, logs[stage]),
    )
  const thinned = STAGES.flatMap((stage) =>
    logs[stage]
      .filter(({ kind, step }) => kind === 'evaluation' || step % 50 === 0 || stage === 'reinforce')
      .map((record) => JSON.stringify({ stage, ...record })),
  )
  writeFileSync(join(docs, 'abacus-log.jsonl'), `${thinned.join('\n')}\n`)
  const bytes = ['model.safetensors', 'tokenizer.json', 'config.json'].reduce(
    (sum, name) => sum + statSync(join(run, 'model', name)).size,
    0,
  )
  writeFileSync(join(docs, 'abacus.md'), page(logs, measured, bytes))
}

if (import.meta.main) main(process.argv[2]!)
