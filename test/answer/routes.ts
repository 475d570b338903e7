/** The ways by which one request reaches a model, and what each gives back, in one shape so that they can be compared. */
import type { LanguageModelV3CallOptions } from '@ai-sdk/provider'
import { lineage } from '../../src/ai/provider.ts'
import type { Ask } from '../../src/answer/ask.ts'
import type { ChatEvent, ChatFormat, Message, SamplingOptions } from '../../src/chat/messages.ts'
import { ChatSession, chat } from '../../src/chat/session.ts'
import { chatOnce } from '../../src/cli/chat/once.ts'
import { turnOptions } from '../../src/cli/chat.ts'
import type { Engine, GenerateOptions } from '../../src/engine/engine.ts'
import { createApp } from '../../src/server/http/app.ts'
import type { ServedModel } from '../../src/server/models/model.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'

/** What came out, and what the engine was given and generated, watched at the engine itself. */
export interface Outcome {
  text: string
  reasoning: string
  calls: { name: string; arguments: unknown }[]
  finish: 'stop' | 'length' | 'tool-calls'
  prompt: readonly number[]
  ids: readonly number[]
  sampling: SamplingOptions
}

export interface Subject {
  tokenizer: Tokenizer
  format: ChatFormat
  engine: ServedModel['engine']
}

type Said = Omit<Outcome, 'prompt' | 'ids' | 'sampling'>
type Route = (model: Subject, messages: readonly Message[], ask: Ask) => Promise<Said>

/** Which fields of an Ask a route can express; a row of the table. */
interface Row {
  run: Route
  /** Fields of the Ask beside sampling and maxTokens, which every route has. */
  fields: readonly (keyof Ask)[]
  /** What it cannot express although it has the field. */
  except?: (ask: Ask) => boolean
}

const FORMS = ['schema', 'regex', 'choice', 'grammar'] as const
const TOOLS = ['tools', 'toolChoice', 'parallelToolCalls'] as const
const hasStrict = ({ tools = [] }: Ask) => tools.some(({ strict }) => strict)
const hasBudget = ({ thinking }: Ask) => typeof thinking === 'object'

export const ROUTES: Record<string, Row> = {
  library: { run: library, fields: [...TOOLS, 'thinking', ...FORMS, 'stop', 'logprobs', 'repetitionLimit', 'prefill'] },
  'command line': { run: commandLine, fields: ['thinking', ...FORMS], except: ({ thinking }) => thinking === false },
  'HTTP chat': { run: httpChat(false), fields: [...TOOLS, 'thinking', ...FORMS, 'stop', 'logprobs'] },
  'HTTP chat, streamed': { run: httpChat(true), fields: [...TOOLS, 'thinking', ...FORMS, 'stop', 'logprobs'] },
  'HTTP responses': { run: httpResponses, fields: [...TOOLS, 'thinking', ...FORMS, 'logprobs'], except: hasBudget },
  'HTTP messages': {
    run: httpMessages(false),
    fields: ['tools', 'toolChoice', 'thinking', ...FORMS, 'stop'],
    except: ({ toolChoice }) => typeof toolChoice === 'object' && 'allowed' in toolChoice,
  },
  'HTTP messages, streamed': {
    run: httpMessages(true),
    fields: ['tools', 'toolChoice', 'thinking', ...FORMS, 'stop'],
    except: ({ toolChoice }) => typeof toolChoice === 'object' && 'allowed' in toolChoice,
  },
  Ollama: { run: ollama, fields: ['tools', 'thinking', ...FORMS, 'stop'], except: (ask) => hasBudget(ask) || hasStrict(ask) },
  'AI SDK': { run: aiSdk, fields: [...TOOLS, 'thinking', ...FORMS, 'stop'] },
}

export function expresses({ fields, except }: Row, ask: Ask): boolean {
  const asked = Object.keys(ask).filter((field) => field !== 'sampling' && field !== 'maxTokens') as (keyof Ask)[]
  return asked.every((field) => fields.includes(field)) && !except?.(ask)
}

/** Runs one request by one route and watches the engine. */
export async function outcome(row: Row, subject: Subject, messages: readonly Message[], ask: Ask): Promise<Outcome> {
  const seen: { prompt: readonly number[]; options: GenerateOptions<unknown>; ids: Promise<readonly number[]> }[] = []
  const generate: Engine['generate'] = (prompt, options = {}) => {
    const generation = subject.engine.generate(prompt, options)
    seen.push({ prompt, options: options as GenerateOptions<unknown>, ids: generation.result.then(({ ids }) => ids) })
    return generation
  }
  // A class would lose its methods in a spread.
  const engine = {
    context: subject.engine.context,
    generate,
    score: subject.engine.score,
    load: () => subject.engine.load(),
    close: async () => {},
  }
  const said = await row.run({ ...subject, engine }, messages, ask)
  if (seen.length !== 1) throw new Error(`${seen.length} generations for one answer`)
  const { prompt, options, ids } = seen[0]!
  return { ...said, prompt, ids: await ids, sampling: options.sampling ?? {} }
}

function fromEvents(events: readonly ChatEvent[]): Said {
  const said: Said = { text: '', reasoning: '', calls: [], finish: 'stop' }
  for (const event of events) {
    if (event.type === 'text-end') said.text += event.text
    else if (event.type === 'reasoning-end') said.reasoning += event.text
    else if (event.type === 'tool-call-end') said.calls.push({ name: event.name, arguments: parsed(event.arguments) })
    else if (event.type === 'finish') said.finish = event.reason === 'stop' || event.reason === 'tool-calls' ? event.reason : 'length'
  }
  return said
}

/** Arguments as the routes show them: an object where they are one; Ollama shows any other text as `input`. */
function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {}
  return { input: text }
}

async function library(model: Subject, messages: readonly Message[], ask: Ask): Promise<Said> {
  return fromEvents(await Array.fromAsync(chat(model, messages, ask)))
}

/** `lineage chat --json`: its flags, its session, its printed events. */
async function commandLine(
  model: Subject,
  messages: readonly Message[],
  { thinking, schema, regex, choice, grammar, maxTokens, sampling = {} }: Ask,
): Promise<Said> {
  const budget = typeof thinking === 'object' ? thinking : undefined
  const effort = budget ? budget.effort : typeof thinking === 'string' ? thinking : undefined
  const flags = { effort, think: thinking === true ? true : undefined, thinkBudget: budget?.budget, maxTokens, ...sampling }
  const session = new ChatSession(
    model,
    { ...turnOptions(flags, model.format.capabilities), schema, regex, choice, grammar },
    messages.slice(0, -1),
  )
  let printed = ''
  const write = (text: string) => {
    printed += text
  }
  await chatOnce({ session, question: messages.at(-1)!.content as string, json: true, stdout: { write }, stderr: { write() {} } })
  return fromEvents(
    printed
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as ChatEvent),
  )
}

// biome-ignore lint/suspicious/noExplicitAny: answers are checked by their values
type Json = any

async function post(model: Subject, path: string, body: object): Promise<Response> {
  const architecture = { name: 'm', modelType: 'm', vocabSize: model.tokenizer.vocabSize, maxPositionEmbeddings: 65536, expertDtype: 'f32' }
  const app = createApp({ models: [{ id: 'm', load: async () => ({ ...model, architecture, dispose() {} }) }] })
  const response = await app.fetch(
    new Request(`http://localhost${path}`, {
      method: 'POST',
      body: JSON.stringify({ model: 'm', ...body }),
      headers: { 'content-type': 'application/json' },
    }),
  )
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return response
}

const samplingFields = ({ sampling = {} }: Ask) => ({ temperature: sampling.temperature, top_p: sampling.topP, seed: sampling.seed })

function thinkingFields(thinking: Ask['thinking']) {
  if (thinking === false) return { reasoning_effort: 'none' }
  if (typeof thinking === 'object') return { reasoning_effort: thinking.effort, thinking_token_budget: thinking.budget }
  return typeof thinking === 'string' ? { reasoning_effort: thinking } : { chat_template_kwargs: { enable_thinking: thinking } }
}

const definition = ({ name, parameters, strict }: NonNullable<Ask['tools']>[number]) => ({ name, parameters, strict })

function chatBody(messages: readonly Message[], ask: Ask): object {
  const { tools, toolChoice, schema } = ask
  return {
    messages,
    ...samplingFields(ask),
    ...thinkingFields(ask.thinking),
    max_tokens: ask.maxTokens,
    stop: ask.stop,
    logprobs: ask.logprobs === undefined ? undefined : true,
    top_logprobs: ask.logprobs,
    tools: tools?.map((tool) => ({ type: 'function', function: definition(tool) })),
    tool_choice:
      typeof toolChoice !== 'object'
        ? toolChoice
        : 'name' in toolChoice
          ? { type: 'function', function: toolChoice }
          : {
              type: 'allowed_tools',
              allowed_tools: {
                mode: toolChoice.mode,
                tools: toolChoice.allowed.map((name) => ({ type: 'function', function: { name } })),
              },
            },
    parallel_tool_calls: ask.parallelToolCalls,
    structured_outputs: ask.choice && { choice: ask.choice },
    guided_regex: ask.regex,
    grammar: ask.grammar,
    response_format: schema === undefined ? undefined : { type: 'json_schema', json_schema: { name: 'response', schema } },
  }
}

const FINISH: Record<string, Said['finish']> = { stop: 'stop', length: 'length', tool_calls: 'tool-calls' }

function httpChat(stream: boolean): Route {
  return async (model, messages, ask) => {
    const response = await post(model, '/v1/chat/completions', { ...chatBody(messages, ask), stream })
    if (!stream) {
      const { message, finish_reason } = ((await response.json()) as Json).choices[0]
      const calls = (message.tool_calls ?? []).map((call: Json) => call.function)
      return {
        text: message.content ?? '',
        reasoning: message.reasoning ?? '',
        calls: calls.map((call: Json) => ({ name: call.name, arguments: parsed(call.arguments) })),
        finish: FINISH[finish_reason]!,
      }
    }
    const said: Said = { text: '', reasoning: '', calls: [], finish: 'stop' }
    const written: string[] = []
    for (const [, data] of (await response.text()).matchAll(/^data: (.*)$/gm)) {
      if (data === '[DONE]') continue
      const { delta, finish_reason } = JSON.parse(data!).choices[0]
      said.text += delta.content ?? ''
      said.reasoning += delta.reasoning ?? ''
      for (const call of delta.tool_calls ?? []) {
        if (call.function.name) said.calls.push({ name: call.function.name, arguments: '' })
        written[call.index] = (written[call.index] ?? '') + call.function.arguments
      }
      if (finish_reason) said.finish = FINISH[finish_reason]!
    }
    return { ...said, calls: said.calls.map(({ name }, i) => ({ name, arguments: parsed(written[i]!) })) }
  }
}

async function httpResponses(model: Subject, messages: readonly Message[], ask: Ask): Promise<Said> {
  const { thinking, toolChoice, schema } = ask
  const body = {
    input: messages.map(({ role, content }) => ({ type: 'message', role, content })),
    ...samplingFields(ask),
    reasoning: thinking === false ? { effort: 'none' } : typeof thinking === 'string' ? { effort: thinking } : undefined,
    chat_template_kwargs: thinking === true ? { enable_thinking: true } : undefined,
    max_output_tokens: ask.maxTokens,
    top_logprobs: ask.logprobs,
    tools: ask.tools?.map((tool) => ({ type: 'function', ...definition(tool) })),
    tool_choice:
      typeof toolChoice !== 'object'
        ? toolChoice
        : 'name' in toolChoice
          ? { type: 'function', ...toolChoice }
          : { type: 'allowed_tools', mode: toolChoice.mode, tools: toolChoice.allowed.map((name) => ({ type: 'function', name })) },
    parallel_tool_calls: ask.parallelToolCalls,
    guided_choice: ask.choice,
    regex: ask.regex,
    ebnf: ask.grammar,
    text: schema === undefined ? undefined : { format: { type: 'json_schema', name: 'response', schema } },
  }
  const { output, status } = (await (await post(model, '/v1/responses', body)).json()) as Json
  const texts = (type: string) =>
    output
      .filter((item: Json) => item.type === type)
      .map((item: Json) => item.content[0]?.text ?? '')
      .join('')
  const calls = output.filter((item: Json) => item.type === 'function_call')
  return {
    text: texts('message'),
    reasoning: texts('reasoning'),
    calls: calls.map((call: Json) => ({ name: call.name, arguments: parsed(call.arguments) })),
    finish: status !== 'completed' ? 'length' : calls.length > 0 ? 'tool-calls' : 'stop',
  }
}

const STOPPED: Record<string, Said['finish']> = { end_turn: 'stop', stop_sequence: 'stop', tool_use: 'tool-calls' }

function httpMessages(stream: boolean): Route {
  return async (model, messages, ask) => {
    const { thinking, toolChoice, schema } = ask
    const effort = typeof thinking === 'string' ? thinking : typeof thinking === 'object' ? thinking.effort : undefined
    const body = {
      system: messages.filter(({ role }) => role === 'system').map(({ content }) => ({ type: 'text', text: content })),
      messages: messages.filter(({ role }) => role !== 'system'),
      ...samplingFields(ask),
      max_tokens: ask.maxTokens ?? 65536,
      stop_sequences: ask.stop,
      thinking:
        typeof thinking === 'object'
          ? { type: 'enabled', budget_tokens: thinking.budget }
          : { type: thinking === false ? 'disabled' : 'adaptive' },
      output_config: { effort, format: schema === undefined ? undefined : { type: 'json_schema', schema } },
      structured_outputs: { choice: ask.choice, regex: ask.regex, grammar: ask.grammar },
      tools: ask.tools?.map(({ name, parameters, strict }) => ({ name, input_schema: parameters ?? {}, strict })),
      tool_choice:
        typeof toolChoice === 'object' && 'name' in toolChoice
          ? { type: 'tool', ...toolChoice }
          : toolChoice && { type: toolChoice === 'required' ? 'any' : toolChoice },
      stream,
    }
    const response = await post(model, '/v1/messages', body)
    const message = stream ? messageOf(await response.text()) : ((await response.json()) as Json)
    const said: Said = { text: '', reasoning: '', calls: [], finish: STOPPED[message.stop_reason] ?? 'length' }
    for (const block of message.content) {
      if (block.type === 'text') said.text += block.text
      else if (block.type === 'thinking') said.reasoning += block.thinking
      else said.calls.push({ name: block.name, arguments: block.input })
    }
    return said
  }
}

/** The message that the events of a stream build. */
function messageOf(stream: string): Json {
  const message: Json = { content: [] }
  for (const [, data] of stream.matchAll(/^data: (.*)$/gm)) {
    const { type, index, content_block, delta } = JSON.parse(data!)
    if (type === 'content_block_start') message.content[index] = { ...content_block, json: '' }
    else if (type === 'message_delta') Object.assign(message, delta)
    else if (type === 'content_block_stop' && message.content[index].type === 'tool_use')
      message.content[index].input = parsed(message.content[index].json || '{}')
    else if (delta?.type === 'text_delta') message.content[index].text += delta.text
    else if (delta?.type === 'thinking_delta') message.content[index].thinking += delta.thinking
    else if (delta?.type === 'input_json_delta') message.content[index].json += delta.partial_json
  }
  return message
}

async function ollama(model: Subject, messages: readonly Message[], ask: Ask): Promise<Said> {
  const { temperature, top_p, seed } = samplingFields(ask)
  const body = {
    messages,
    stream: false,
    think: ask.thinking,
    format: ask.schema,
    structured_outputs: { choice: ask.choice, regex: ask.regex, grammar: ask.grammar },
    tools: ask.tools?.map((tool) => ({ type: 'function', function: definition(tool) })),
    options: { temperature, top_p, seed, num_predict: ask.maxTokens, stop: ask.stop },
  }
  const { message, done_reason } = (await (await post(model, '/api/chat', body)).json()) as Json
  const calls = (message.tool_calls ?? []).map((call: Json) => ({ name: call.function.name, arguments: call.function.arguments }))
  return {
    text: message.content,
    reasoning: message.thinking ?? '',
    calls,
    finish: done_reason !== 'stop' ? 'length' : calls.length > 0 ? 'tool-calls' : 'stop',
  }
}

async function aiSdk(model: Subject, messages: readonly Message[], ask: Ask): Promise<Said> {
  const { thinking, toolChoice, sampling = {}, schema } = ask
  const level = typeof thinking === 'string' ? thinking : typeof thinking === 'object' ? thinking.effort : undefined
  const options: LanguageModelV3CallOptions = {
    prompt: messages.map(({ role, content }) =>
      role === 'system'
        ? { role, content: content as string }
        : { role: 'user' as const, content: [{ type: 'text' as const, text: content as string }] },
    ),
    ...sampling,
    maxOutputTokens: ask.maxTokens,
    stopSequences: ask.stop ? [...ask.stop] : undefined,
    // Of allowed tools, the SDK is given only those.
    tools: ask.tools
      ?.filter(({ name }) => typeof toolChoice !== 'object' || !('allowed' in toolChoice) || toolChoice.allowed.includes(name))
      .map(({ name, parameters, strict }) => ({ type: 'function', name, inputSchema: parameters as object, strict })),
    toolChoice:
      typeof toolChoice !== 'object'
        ? toolChoice && { type: toolChoice }
        : 'name' in toolChoice
          ? { type: 'tool', toolName: toolChoice.name }
          : { type: toolChoice.mode },
    responseFormat: schema === undefined ? undefined : { type: 'json', schema: schema as object },
    providerOptions: {
      lineage: {
        ...(level && { reasoningEffort: level }),
        ...(typeof thinking === 'boolean' && { thinking }),
        ...(typeof thinking === 'object' && { thinkingBudget: thinking.budget }),
        ...(ask.parallelToolCalls !== undefined && { parallelToolCalls: ask.parallelToolCalls }),
        regex: ask.regex,
        choice: ask.choice && [...ask.choice],
        grammar: ask.grammar,
      },
    },
  }
  const { content, finishReason } = await lineage({ ...model, architecture: { name: 'm' } }).doGenerate(options)
  const said: Said = { text: '', reasoning: '', calls: [], finish: 'length' }
  for (const part of content) {
    if (part.type === 'text') said.text += part.text
    else if (part.type === 'reasoning') said.reasoning += part.text
    else if (part.type === 'tool-call') said.calls.push({ name: part.toolName, arguments: parsed(part.input) })
  }
  if (finishReason.unified === 'stop' || finishReason.unified === 'tool-calls') said.finish = finishReason.unified
  return said
}
