/**
 * `lineage eval`: what a model's predictions of a text are worth (--data), what it reaches on a published task (--task), or what the
 * embedded model can calculate at which effort (--effort).
 */
import { type Command, InvalidArgumentError } from 'commander'
import type { Effort } from '../chat/messages.ts'
import { BUILT_IN } from '../evaluate/tasks.ts'
import { claimFile, OWN_SVG } from '../files/output-node.ts'
import { type ArithmeticOptions, measureArithmetic } from './eval/arithmetic.ts'
import { runTask, type TaskOptions } from './eval/task.ts'
import { scoreText, type TextOptions } from './eval/text.ts'
import { addAdapterOption, addBackendOptions, modelDirectory, parseCount, parseNumber, parseShare } from './support/model.ts'
import { parseTokens, UsageError } from './support/terminal.ts'

interface Options extends TextOptions, ArithmeticOptions, TaskOptions {
  data?: string[]
  force?: boolean
}

/** Which options belong to which way of evaluating; all others belong to every one. */
const TEXT = ['heldOut', 'block', 'windows']
const ARITHMETIC = ['problems', 'calls', 'questions']
const TASK = [
  'shotsData',
  'shots',
  'limit',
  'out',
  'repeats',
  'maxTokens',
  'temperature',
  'topP',
  'parallel',
  'context',
  'url',
  'tokenizer',
  'apiKeyFile',
  'grader',
  'graderModel',
  'sandbox',
  'sandboxSeconds',
  'export',
]

export function register(program: Command): void {
  const command = program
    .command('eval')
    .description(
      'With --task: a published task such as hellaswag, lambada, gsm8k or aime, or one of your own (docs/evaluation.md). With --data alone: loss, perplexity and bits per byte on a text. With --effort alone: accuracy and length of the thinking on arithmetic problems that were never trained on, and calls of the calculator.',
    )
    .argument('<model>', 'directory of a checkpoint, the name of a model, or with --url the name in requests')
    .option('--task <task>', `a file that describes a task, or one of ${Object.keys(BUILT_IN).join(', ')}`)
    .option('--data <files...>', 'the data of the task; without a task the text to predict')
    .option('--held-out <share>', 'of a text: only this last share, as `lineage train` keeps it (0.1)', parseShare)
    .option('--block <tokens>', 'of a text: tokens per window (default: the context, at most 1024)', parseCount)
    .option('--windows <n>', 'of a text: most windows, at equal distances', parseCount, 400)
    .option('--shots-data <files...>', 'of a task: solved examples that stand before each question')
    .option('--shots <n>', 'of a task: how many of them (0: none)', parseWhole)
    .option('--limit <n>', 'of a task: only the first records', parseCount)
    .option('--out <file>', 'of a task: every outcome as JSON Lines; a run that was interrupted goes on where the file ends')
    .option('--effort <levels>', 'low,medium,high: each question is asked with each of them', parseEfforts)
    .option('--repeats <n>', 'of a task: ask each question so often', parseCount)
    .option('--max-tokens <n>', 'of a task: most tokens of an answer, thinking included', parseCount)
    .option('--temperature <t>', 'of a task: 0 is greedy', parseNumber)
    .option('--top-p <p>', 'of a task: keep the likeliest tokens of this total probability', parseNumber)
    .option('--parallel <n>', 'of a task: items at once (default 8)', parseCount)
    .option('--context <tokens>', 'of a task: longest prompt plus answer, e.g. 8192 or 32k', parseTokens)
    .option('--url <url>', "of a task: evaluate the model of a server with OpenAI's API, such as http://127.0.0.1:8080/v1")
    .option('--tokenizer <dir>', 'with --url: directory with the tokenizer of the model (default: the /tokenize of the server)')
    .option('--api-key-file <file>', 'with --url: the key (default: OPENAI_API_KEY)')
    .option('--grader <url>', 'of a task with rubrics: the server whose model grades')
    .option('--grader-model <name>', 'of a task with rubrics: the name of that model')
    .option('--sandbox <command>', 'of a task with programs: runs one, from standard input or from {file}; exit code 0 is passed')
    .option('--sandbox-seconds <s>', 'of a task with programs: how long one may run (default 30)', parseCount)
    .option('--export <file>', 'of a task: task_id and completion of each answer as JSON Lines, for the official scorer')
    .option('--problems <n>', 'of arithmetic: problems per effort, shared by the kinds', parseCount, 1000)
    .option('--calls <n>', 'of arithmetic: problems with the calculator on offer', parseCount, 200)
    .option('--questions <files...>', 'of arithmetic: lines of {"question", "answer"}, answer null where it should be declined')
    .option('--svg <file>', 'accuracy against tokens of thinking')
    .option('--json <file>', 'everything measured')
    .option('--force', 'replace files of another origin that are there')
    .option('--seed <n>', 'of arithmetic: which problems; of a task: order of options and what is drawn', parseNumber, 1)
  addAdapterOption(addBackendOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  lineage eval openai-community/gpt2 --task lambada --data lambada_test_en.jsonl --out gpt2-lambada.jsonl\n  lineage eval gpt-oss-20b --task aime --data aime2025-I.jsonl aime2025-II.jsonl --effort low,high --out aime.jsonl\n  lineage eval some-model --url http://127.0.0.1:8000/v1 --task gsm8k-chat --data test.jsonl\n  lineage eval runs/gpt2/model --data shakespeare.txt --held-out 0.1\n  lineage eval abacus --effort low,medium,high',
    )
    .action(run)
}

function parseEfforts(text: string): Effort[] {
  const levels = text.split(',')
  if (!levels.every((level): level is Effort => level === 'low' || level === 'medium' || level === 'high'))
    throw new InvalidArgumentError('Expected low, medium or high, separated by commas.')
  return [...new Set(levels)]
}

function parseWhole(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 0.')
  return Number(text)
}

async function run(name: string, options: Options, command: Command): Promise<void> {
  const { task, data, effort, force } = options
  const refuse = (names: readonly string[], where: string) => {
    const given = names.find((each) => command.getOptionValueSource(each) === 'cli')
    const flag = given?.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    if (flag) throw new UsageError(`--${flag} does not belong to an evaluation with ${where}`)
  }
  if (!task && (data === undefined) === (effort === undefined))
    throw new UsageError('give --task TASK, or either --data FILE or --effort LEVELS')
  if (task) refuse([...TEXT, ...ARITHMETIC], '--task')
  else if (data) refuse([...ARITHMETIC, ...TASK, 'svg', 'seed'], '--data and without --task')
  else refuse([...TEXT, ...TASK], '--effort and without --task')
  if (data && !task && data.length > 1) throw new UsageError(`--data: expected one text, got ${data.join(', ')}`)
  if (options.svg) await claimFile(options.svg, { force, own: OWN_SVG })
  if (options.json) await claimFile(options.json, { force, own: /^\{\n {2}"(loss|cells|task)": / })
  if (task) return runTask(name, task, options)
  const directory = await modelDirectory(name)
  if (data) await scoreText(directory, data[0]!, options)
  else await measureArithmetic(directory, options)
}
