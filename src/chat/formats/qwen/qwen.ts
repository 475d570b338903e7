/**
 * Qwen3's prompt format: conversation -> token ids, for the releases that differ in thinking and in the syntax of tools.
 * Source: the published chat templates; text and ids equal what they give, except that no one's text can become a marker.
 */
import { strip } from '../../../jinja/text.ts'
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts'
import {
  type AssistantMessage,
  argumentsOf,
  type ChatFormat,
  checkTools,
  type Message,
  offeredTools,
  partsOf,
  type RenderOptions,
  type SamplingOptions,
  textOf,
} from '../../messages.ts'
import { PromptText } from '../prompt-text.ts'
import { TagParser } from '../tags/parser.ts'
import { CODER, HERMES } from '../tags/syntax.ts'
import { coderCall, coderTools } from './coder.ts'
import { pythonJson } from './python-json.ts'

/** Which release: Qwen3 is switch + json, Instruct-2507 never + json, Thinking-2507 always + json, Coder never + xml. */
export interface QwenKind {
  thinking: 'switch' | 'always' | 'never'
  tools: 'json' | 'xml'
  eosTokenIds?: readonly number[]
  /** Of generation_config.json. */
  sampling?: SamplingOptions
}

const toolsBefore =
  '# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>'
const toolsAfter =
  '\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'

export function qwenFormat(tokenizer: Tokenizer, kind: QwenKind): ChatFormat {
  const stopIds = new Set(kind.eosTokenIds)
  for (const name of ['<|im_end|>', '<|endoftext|>']) if (tokenizer.specials.has(name)) stopIds.add(tokenizer.specials.get(name)!)
  const thinks = (options: RenderOptions) => kind.thinking === 'always' || (kind.thinking === 'switch' && options.thinking !== false)
  return {
    name: 'qwen',
    stopIds: [...stopIds],
    capabilities: { reasoning: kind.thinking, tools: true, parallelToolCalls: true },
    sampling(options) {
      if (thinks(options)) return { temperature: 0.6, topP: 0.95, topK: 20, minP: 0, ...kind.sampling }
      const advised = { temperature: 0.7, topP: 0.8, topK: 20, minP: 0, ...(kind.tools === 'xml' && { repetitionPenalty: 1.05 }) }
      // The file of a model with a switch holds the values for thinking.
      return kind.thinking === 'switch' ? advised : { ...advised, ...kind.sampling }
    },
    render(messages, options) {
      const prompt = new PromptText()
      renderSystem(prompt, messages, options, kind)
      renderTurns(prompt, messages, kind)
      prompt.template('<|im_start|>assistant\n')
      if (options.prefill !== undefined)
        return prompt
          .template(kind.thinking === 'never' ? '' : '<think>\n')
          .plain(kind.thinking === 'never' ? '' : (options.prefillReasoning ?? ''))
          .template(kind.thinking === 'never' ? '' : '\n</think>\n\n')
          .plain(options.prefill)
          .encode(tokenizer)
      if (kind.thinking === 'switch' && !thinks(options)) prompt.template(EMPTY_THINKING)
      // Thinking-2507's own prompt ends like this. With a grammar, `<think>` is opened in the prompt for the other releases too:
      // otherwise the mask would forbid the opening tag.
      else if (kind.thinking === 'always' || (thinks(options) && isConstrained(options))) prompt.template('<think>\n')
      return prompt.encode(tokenizer)
    },
    parser(prompt, options) {
      const start = tokenizer.specials.get('<|im_start|>')!
      const opening = prompt.slice(prompt.lastIndexOf(start) + 1 + tokenizer.encode('assistant\n').length)
      return new TagParser(tokenizer, options, {
        stopIds,
        mayThink: thinks(options),
        opening,
        calls: kind.tools === 'xml' ? CODER : HERMES,
      })
    },
  }
}

const EMPTY_THINKING = '<think>\n\n</think>\n\n'

function isConstrained({ responseFormat, toolChoice }: RenderOptions): boolean {
  return responseFormat !== undefined || toolChoice === 'required' || typeof toolChoice === 'object'
}

function isSystem(message: Message | undefined): boolean {
  return message?.role === 'system' || message?.role === 'developer'
}

function renderSystem(prompt: PromptText, messages: readonly Message[], options: RenderOptions, kind: QwenKind): void {
  const tools = offeredTools(options)
  checkTools(tools)
  const text = isSystem(messages[0]) ? (messages[0]!.content as string) : undefined
  if (tools.length === 0) {
    if (text !== undefined) prompt.template('<|im_start|>system\n').plain(text).template('<|im_end|>\n')
    return
  }
  prompt.template('<|im_start|>system\n')
  if (kind.tools === 'xml') {
    prompt.plain(text ?? 'You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks.').template('\n\n')
    coderTools(prompt, tools)
  } else {
    if (text !== undefined) prompt.plain(text).template('\n\n')
    prompt.template(toolsBefore)
    for (const { name, description, parameters } of tools) {
      prompt.template('\n').plain(pythonJson({ type: 'function', function: { name, description, parameters } }))
    }
    prompt.template(toolsAfter)
  }
  prompt.template('<|im_end|>\n')
}

function renderTurns(prompt: PromptText, messages: readonly Message[], kind: QwenKind): void {
  const lastQuery = messages.findLastIndex(
    (message) =>
      message.role === 'user' && !(message.content.startsWith('<tool_response>') && message.content.endsWith('</tool_response>')),
  )
  const from = lastQuery < 0 ? messages.length - 1 : lastQuery
  messages.forEach((message, i) => {
    if (i === 0 && isSystem(message)) return
    if (message.role === 'assistant') renderAnswer(prompt, message, i > from, i === messages.length - 1, kind)
    else if (message.role === 'tool') {
      const [first, last] = [messages[i - 1]?.role !== 'tool', messages[i + 1]?.role !== 'tool']
      // Coder ends every result with a newline, the others begin every result with one.
      if (first) prompt.template(kind.tools === 'xml' ? '<|im_start|>user\n' : '<|im_start|>user')
      prompt.template(kind.tools === 'xml' ? '<tool_response>\n' : '\n<tool_response>\n').plain(message.content)
      prompt.template(kind.tools === 'xml' ? '\n</tool_response>\n' : '\n</tool_response>')
      if (last) prompt.template('<|im_end|>\n')
    } else
      prompt
        .template(`<|im_start|>${message.role === 'developer' ? 'system' : message.role}\n`)
        .plain(message.content)
        .template('<|im_end|>\n')
  })
}

function renderAnswer(prompt: PromptText, message: AssistantMessage, current: boolean, last: boolean, kind: QwenKind): void {
  const parts = partsOf(message)
  let [reasoning, text] = [textOf(parts, 'reasoning'), textOf(parts, 'text')]
  const calls = parts.filter((part) => part.type === 'tool-call')
  // Coder's template knows no thinking.
  if (kind.tools === 'xml') reasoning = ''
  else if (reasoning === '' && text.includes('</think>')) {
    // A client that keeps the answer as one text, thinking included.
    reasoning = text.slice(0, text.indexOf('</think>')).split('<think>').at(-1)!
    text = text.slice(text.lastIndexOf('</think>') + '</think>'.length).replace(/^\n+/, '')
  }
  reasoning = reasoning.replace(/^\n+|\n+$/g, '')
  if (kind.tools === 'xml' && calls.length > 0) {
    prompt.template('<|im_start|>assistant')
    if (strip(text, null) !== '') prompt.template('\n').plain(strip(text, null)).template('\n')
    for (const call of calls) coderCall(prompt.template('\n'), call)
    prompt.template('<|im_end|>\n')
    return
  }
  prompt.template('<|im_start|>assistant\n')
  if (current && (reasoning !== '' || (last && kind.thinking !== 'never'))) {
    prompt.template('<think>\n').plain(reasoning).template('\n</think>\n\n').plain(text.replace(/^\n+/, ''))
  } else prompt.plain(text)
  calls.forEach((call, c) => {
    if (text !== '' || c > 0) prompt.template('\n')
    prompt
      .template('<tool_call>\n')
      .plain(`{"name": "${call.name}", "arguments": ${argumentsOf(call)}}`)
      .template('\n</tool_call>')
  })
  prompt.template('<|im_end|>\n')
}
