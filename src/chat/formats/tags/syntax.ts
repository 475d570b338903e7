/**
 * How a family of models writes tool calls: the markers around them, the spelling of what is between, the ids that force a call. One row
 * for each syntax that has a reader. Sources: the published chat templates; a template's own text says which row is its.
 */

export interface CallSyntax {
  /** Begins a block of calls. A model whose tokenizer has a token of this name writes it as that token, others as text on a line. */
  open: string
  /** Ends it; undefined when the calls end by themselves. */
  close?: string
  /** Other tokens that belong to the text of a block. */
  inner?: readonly string[]
  /** An answer that begins with the JSON of a call is one, without any marker. */
  isBare?: boolean
  /** A line `<function=NAME>` with the name of an offered tool begins a block, too. */
  startsAtFunction?: boolean
  /** Whether the model's template has a place for several calls in one answer. */
  isParallel: boolean
  /** What is forced before the name, between name and arguments, and after these. `isPlainName`: the name is no JSON string. */
  force: { before: string; between: string; after: string; isPlainName?: boolean }
}

const json = (open: string, close: string, key = 'arguments'): CallSyntax['force'] => ({
  before: `${open}{"name": `,
  between: `, "${key}": `,
  after: `}${close}`,
})

/** Qwen2.5, Qwen3, Hermes, SmolLM3. */
export const HERMES: CallSyntax = {
  open: '<tool_call>',
  close: '</tool_call>',
  isParallel: true,
  force: json('<tool_call>\n', '\n</tool_call>'),
}

/** Qwen3-Coder. Arguments that must follow a schema are written as JSON, which a mask can hold to it. */
export const CODER: CallSyntax = { ...HERMES, startsAtFunction: true }

const LLAMA: CallSyntax = { open: '<|python_tag|>', isBare: true, isParallel: false, force: json('', '', 'parameters') }

/** The generic prompt of tools, for models without a syntax of their own. */
export const GENERIC: CallSyntax = { open: '<tool_call>', isBare: true, isParallel: false, force: json('', '') }

/** Mistral 7B v0.3, Nemo, Small 3.1: a list of calls after the marker. */
const MISTRAL: CallSyntax = { open: '[TOOL_CALLS]', isParallel: true, force: json('[TOOL_CALLS][', ']') }

/** Mistral Small 3.2, Devstral, Magistral: `[TOOL_CALLS]NAME[CALL_ID]ID[ARGS]{…}` for each call, the id not in all. */
const MISTRAL_NAMED = (between: string): CallSyntax => ({
  open: '[TOOL_CALLS]',
  inner: ['[CALL_ID]', '[ARGS]'],
  isParallel: true,
  force: { before: '[TOOL_CALLS]', between, after: '', isPlainName: true },
})

/** OLMo 3: calls as Python. */
const OLMO: CallSyntax = {
  open: '<function_calls>',
  close: '</function_calls>',
  isParallel: true,
  force: json('<function_calls>\n', '\n</function_calls>'),
}

/** Gemma 3: a fenced block of Python or JSON. */
const GEMMA: CallSyntax = { open: '```tool_code', close: '```', isParallel: true, force: json('```tool_code\n', '\n```') }

/** FunctionGemma: `call:NAME{key:<escape>text<escape>}`. */
const FUNCTION_GEMMA: CallSyntax = {
  open: '<start_function_call>',
  close: '<end_function_call>',
  inner: ['<escape>'],
  isParallel: true,
  force: { before: '<start_function_call>call:', between: '', after: '<end_function_call>', isPlainName: true },
}

/** Gemma 4: the same with other markers. */
const GEMMA_4: CallSyntax = {
  open: '<|tool_call>',
  close: '<tool_call|>',
  inner: ['<|"|>'],
  isParallel: true,
  force: { before: '<|tool_call>call:', between: '', after: '<tool_call|>', isPlainName: true },
}

/** Granite 3.3: a list of calls after the marker. */
const GRANITE: CallSyntax = { open: '<|tool_call|>', isParallel: true, force: json('<|tool_call|>[', ']') }

/**
 * The syntax that the text of a chat template asks for; undefined when it knows no tools or asks for a syntax without a reader.
 * @param hasTags whether the tokenizer has tokens for `<tool_call>` and `</tool_call>`
 */
export function callSyntaxOf(template: string, hasTags: boolean): CallSyntax | undefined {
  const asksFor = (...texts: string[]) => texts.every((text) => template.includes(text))
  // GLM's arguments, and MiniMax's, are tags of their own, which nothing here reads.
  if (!asksFor('tools') || asksFor('<arg_key>') || asksFor('<invoke')) return undefined
  if (asksFor('[TOOL_CALLS]', '[ARGS]')) return MISTRAL_NAMED(asksFor('[CALL_ID]') ? '[CALL_ID]000000000[ARGS]' : '[ARGS]')
  if (asksFor('[TOOL_CALLS]')) return MISTRAL
  if (asksFor('<tool_call>', '<function=')) return CODER
  if (hasTags || asksFor('<tool_call>', '"arguments"')) return HERMES
  if (asksFor('<function_calls>')) return OLMO
  if (asksFor('<start_function_call>')) return FUNCTION_GEMMA
  if (asksFor('<|tool_call>', 'call:')) return GEMMA_4
  if (asksFor('<|tool_call|>')) return GRANITE
  if (asksFor('```tool_code')) return GEMMA
  return /"name": .*"parameters": /.test(template) ? LLAMA : undefined
}
