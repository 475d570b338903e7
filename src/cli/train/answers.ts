/**
 * `lineage train --reinforce FILE`: a small checkpoint further, on questions whose answers can be checked; and `--distill TEACHER`: on the
 * distribution of a teacher, over given texts or over what the student itself writes (`--on-policy`).
 */
import { basename } from 'node:path'
import type { Architecture } from '../../architecture/architecture.ts'
import type { ChatFormat, Effort, Message } from '../../chat/messages.ts'
import { turnOf } from '../../chat/training.ts'
import { fileFolder } from '../../checkpoint/source-node.ts'
import { EXTRACTIONS, isRight } from '../../evaluate/extract.ts'
import { readText } from '../../load-model.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { type Conversation, EFFORTS, readConversations } from '../../train/data/conversations.ts'
import { pack, promptAndAnswer } from '../../train/data/pack.ts'
import { distilled, onPolicyDistillation } from '../../train/distill.ts'
import { withoutBalance } from '../../train/low-rank.ts'
import { type CheckableTask, type CheckedPrompt, finalText, REINFORCE, reinforcementData } from '../../train/reinforce.ts'
import { policySampler } from '../../train/sample-node.ts'
import type { Example } from '../../train/shard.ts'
import { companionsOf, openStart } from '../../train/start-node.ts'
import type { TrainingData } from '../../train/trainer.ts'
import { inlineWorkers, type TrainingWorkers } from '../../train/workers.ts'
import { threadWorkers } from '../../train/workers-node.ts'
import { modelDirectory } from '../support/model.ts'
import { readOptionFile, readOptionLines } from '../support/read-file.ts'
import { UsageError } from '../support/terminal.ts'
import { FINE_TUNING } from './fine-tuning.ts'
import { changes, type Options, type Prepared, quantised, shared } from './options.ts'

interface Question {
  messages: Message[]
  effort?: Effort
  answer: string
}

/** Lines of {"messages", "answer"} and perhaps "reasoning_effort". @throws FieldError that names line and field */
function readQuestions(file: string): Question[] {
  return readOptionLines('--reinforce', file).map((line) => {
    const effort = line.has('reasoning_effort') ? line.choice('reasoning_effort', EFFORTS) : undefined
    const messages = line.list('messages').map((message): Message => {
      const role = message.choice('role', { system: 'system', developer: 'developer', user: 'user' } as const)
      return { role, content: message.string('content') }
    })
    if (!line.has('answer')) line.fail('answer', 'missing; expected the answer that is right')
    return { messages, effort, answer: String(line.raw('answer')) }
  })
}

export async function reinforcing(options: Options): Promise<Prepared> {
  const { from, reinforce: file } = options
  if (options.lora !== undefined) throw new UsageError('--reinforce trains all weights; --lora is not supported with it')
  const folder = await fileFolder(await modelDirectory(from!))
  const start = await openStart(folder)
  const { tokenizer, format } = await readText(folder)
  const packs = start.architecture.expertDtype === 'mxfp4' ? 1 : undefined
  const steps = options.steps ?? 100
  const given: Options = { ...options, steps, quantiseFrom: options.quantiseFrom ?? packs }
  const architecture = quantised(start.architecture, given)
  const questions = readQuestions(file!)
  const kept = Math.min(200, Math.max(1, Math.round(questions.length / 10)))
  if (questions.length < 2) throw new UsageError(`${file}: expected at least two questions, one of which is held out`)
  const settings = {
    ...{ ...FINE_TUNING, weightDecay: 0, beta2: 0.95 },
    ...{ warmup: Math.ceil(steps / 20), evaluateEvery: Math.max(1, Math.round(steps / 8)), ...changes(given) },
  }
  const { group, prompts, updates, clipRatio, kl, lengthPrice, temperature, answerTokens } = options
  const wanted = { group, prompts, updates, clip: clipRatio, kl, lengthPrice, temperature, maxTokens: answerTokens }
  const set = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined))
  const sizes = { ...REINFORCE, ...set, parts: options.threads * options.accumulate, seed: settings.seed }
  settings.saveEvery = Math.ceil(settings.saveEvery / sizes.updates) * sizes.updates
  const task = taskOf(questions, kept, format)
  const held = questions.slice(-kept).map((question) => answered(question, format, tokenizer))
  return {
    ...shared(options),
    ...(await companionsOf(folder)),
    architecture: withoutBalance(architecture),
    saved: architecture,
    async data(workers) {
      const reference = workersLike(workers.architecture, options)
      await start.fill(reference.layout, reference.values)
      if (settings.quantiseFrom !== null) await reference.quantise(true)
      const sampler = samplerOf(workers, format, options, sizes.maxTokens, settings.quantiseFrom !== null)
      const data = reinforcementData(workers, reference, sampler, task, sizes, () => held)
      return { ...data, close: async () => void (await Promise.all([data.close?.(), reference.close()])) }
    },
    settings,
    start: start.fill,
    out: options.out ?? `runs/${basename(from!)}-reinforced`,
    title: `${architecture.name} on the answers of ${basename(file!)}`,
  }
}

const workersLike = (architecture: Architecture, { threads, memory, inline, seed }: Options): TrainingWorkers =>
  (inline ? inlineWorkers : threadWorkers)(architecture, { shards: threads, arenaBytes: memory * 2 ** 20, seed })

const samplerOf = (
  { architecture, layout, values }: TrainingWorkers,
  { stopIds }: ChatFormat,
  options: Options,
  most: number,
  rounded: boolean,
) =>
  policySampler(architecture, layout, values, {
    context: Math.min(architecture.maxPositionEmbeddings, most + (options.block ?? 512)),
    slots: 32,
    threads: options.threads,
    stopIds,
    rounded,
  })

function taskOf(questions: readonly Question[], kept: number, format: ChatFormat): CheckableTask {
  const checked = questions.map(({ messages, effort, answer }): CheckedPrompt => {
    const ids = format.render(messages, { thinking: effort })
    const isNumber = /^-?[\d.,]+$/.test(answer)
    return {
      ids,
      reward(sampled) {
        if (!sampled.finished) return 0
        const text = finalText(format, ids, sampled, { thinking: effort })
        const given = isNumber ? (EXTRACTIONS.boxed(text) ?? EXTRACTIONS.number(text)) : text
        return isRight(given, answer, isNumber ? 'number' : 'text') ? 1 : 0
      },
    }
  })
  const training = checked.slice(0, -kept)
  return {
    prompts: (round, count) => Array.from({ length: count }, (_, i) => training[(round * count + i) % training.length]!),
    heldOut: () => checked.slice(-kept),
  }
}

/** A question with its answer at once, whose loss is logged. */
function answered({ messages, effort, answer }: Question, format: ChatFormat, tokenizer: Tokenizer): Example {
  const turn = turnOf(format, tokenizer, [...messages, { role: 'assistant', content: [{ type: 'text', text: answer }] }], {
    thinking: effort,
  })
  return pack([promptAndAnswer(turn.prompt, turn.answer)])
}

/** The same run, learning from a teacher. */
export async function withTeacher(plain: Prepared, options: Options): Promise<Prepared> {
  const { distill, distillShare = 1, onPolicy } = options
  if (plain.lowRank) throw new UsageError('--distill trains all weights; --lora is not supported with it')
  const start = await openStart(await fileFolder(await modelDirectory(distill!)))
  const [own, theirs] = [plain.architecture.vocabSize, start.architecture.vocabSize]
  if (own !== theirs) throw new UsageError(`--distill: the teacher has ${theirs} ids, the student ${own}; they need the same tokenizer`)
  const data = plain.data as TrainingData
  const chat = onPolicy ? await conversationsOf(options) : undefined
  return {
    ...plain,
    title: `${plain.title}, taught by ${basename(distill!)}`,
    async data(workers) {
      const teacher = workersLike(start.architecture, options)
      await start.fill(teacher.layout, teacher.values)
      const evaluation = () => data.evaluation()
      const sizes = { prompts: options.prompts ?? REINFORCE.prompts, maxTokens: options.answerTokens ?? REINFORCE.maxTokens }
      const taught = chat
        ? onPolicyDistillation(
            teacher,
            samplerOf(workers, chat.format, options, sizes.maxTokens, plain.settings.quantiseFrom !== null),
            (step, count) => Array.from({ length: count }, (_, i) => chat.prompts[((step - 1) * count + i) % chat.prompts.length]!),
            evaluation,
            { ...sizes, temperature: options.temperature ?? 1, parts: options.threads, seed: plain.settings.seed },
          )
        : distilled(data, teacher, { direction: 'forward', share: distillShare })
      return { ...taught, close: async () => void (await Promise.all([taught.close?.(), teacher.close()])) }
    },
  }
}

/** The prompts before the last answers of the conversations of --data. */
async function conversationsOf({ from, data }: Options): Promise<{ format: ChatFormat; prompts: number[][] }> {
  if (from === undefined || data === undefined || !data.endsWith('.jsonl'))
    throw new UsageError('--on-policy needs --from MODEL and conversations as --data FILE.jsonl, whose questions are asked')
  const { format } = await readText(await fileFolder(await modelDirectory(from)))
  const all = readConversations(readOptionFile('--data', data), basename(data))
  const asked = all.slice(0, -Math.max(1, Math.round(all.length / 10)))
  const promptOf = ({ messages, options }: Conversation) =>
    format.render(
      messages.slice(
        0,
        messages.findLastIndex(({ role }) => role === 'assistant'),
      ),
      options,
    )
  return { format, prompts: asked.map(promptOf) }
}
