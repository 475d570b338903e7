/**
 * From the request to the prompt's options and the constraints. Everything that is enforced is compiled here, before anything is
 * drawn: a schema that cannot be enforced is an error, never ignored. Errors name the field; the server makes a 400 of them.
 */
import { ChatError, type ChatFormat, type JsonSchema, type RenderOptions, type Thinking } from '../chat/messages.ts'
import { type Constraint, constraint, type Form, UnsupportedSchemaError, UnsupportedTextError } from '../structured/structured.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { type Ask, type AskedTool, formOf } from './ask.ts'
import { checkAsk } from './check.ts'
import { type CompileConstraint, constraints } from './constraints.ts'
import type { Rules } from './guide.ts'

export interface Plan {
  /** Options of the prompt. */
  render: RenderOptions
  /** What is enforced. */
  rules: Rules
  /** The caller wants no thinking, whether or not the format can do without. */
  hidesReasoning: boolean
}

const NO_ARGUMENTS: JsonSchema = { type: 'object', properties: {}, additionalProperties: false }

/** @throws ChatError that names the field, or what `compile` throws of its own: SliceTimeoutError, the signal's reason */
export async function planFor(
  ask: Ask,
  { format, tokenizer }: { format: ChatFormat; tokenizer: Tokenizer },
  compile: CompileConstraint = constraints,
  signal?: AbortSignal,
): Promise<Plan> {
  checkAsk(ask)
  const { thinking, undeclared } = ask
  const compiled = (form: Form, field: string) => enforceable(form, field, (given) => compile(given, tokenizer, signal))
  const { tools, choice } = chosenTools(ask, format)
  const forced = choice === 'required' ? tools.map(({ name }) => name) : typeof choice === 'object' ? [choice.name] : undefined
  const form = formOf(ask)
  const text = form === undefined || forced ? undefined : await compiled(form, fieldOfForm(ask, form))
  const args = new Map<string, Constraint>()
  for (const { name, parameters = NO_ARGUMENTS, strict, form } of tools)
    if (strict || forced?.includes(name))
      args.set(name, await compiled(form ?? { schema: parameters, undeclared }, `${fieldOf(ask, name)}.${form ? 'format' : 'parameters'}`))
    else if (format.capabilities.bindsCalls) {
      const own = await compiled({ schema: parameters, undeclared }, name).catch(ignoreUnsupported)
      if (own) args.set(name, own)
    }
  return {
    render: toldBy(ask, format),
    rules: {
      text,
      forcedCalls: forced && { names: forced, several: choice === 'required' && ask.parallelToolCalls !== false },
      parallel: ask.parallelToolCalls,
      callable: tools.map(({ name }) => name),
      arguments: args,
      thinking: mayThink(format, thinking),
      reasoningBudget: typeof thinking === 'object' ? thinking.budget : Number.POSITIVE_INFINITY,
    },
    hidesReasoning: thinking === false,
  }
}

/** Nobody has asked for these arguments to be enforced, so a schema that cannot be is no error. */
function ignoreUnsupported(error: unknown): undefined {
  if (!(error instanceof ChatError && error.code === 'unsupported_schema')) throw error
}

/** Compiles a form, and says with the name of the field if it cannot be enforced. @throws ChatError */
export async function enforceable(
  form: Form,
  field: string,
  compile: (form: Form) => Constraint | Promise<Constraint>,
): Promise<Constraint> {
  try {
    return await compile(form)
  } catch (error) {
    throw unenforceable(error, field)
  }
}

/** The constraint of a form, compiled at once. @throws ChatError */
export function constraintNow(ask: Ask, tokenizer: Tokenizer): Constraint | undefined {
  const form = formOf(ask)
  try {
    return form && constraint(form, tokenizer)
  } catch (error) {
    throw unenforceable(error, fieldOfForm(ask, form!))
  }
}

function unenforceable(error: unknown, field: string): unknown {
  if (error instanceof UnsupportedSchemaError)
    return new ChatError(field, `this schema cannot be enforced: ${error.message}`, 'unsupported_schema', error)
  if (error instanceof UnsupportedTextError)
    return new ChatError(field, `this cannot be enforced: ${error.message}`, 'unsupported_form', error)
  return error
}

/** The name that errors use for a form. */
export const fieldOfForm = ({ fields }: Pick<Ask, 'fields'>, form: Form): string => fields?.form ?? Object.keys(form)[0]!

/** What the model is told of an Ask. @throws ChatError on a wish that the format cannot express */
export function toldBy(ask: Ask, format: ChatFormat): RenderOptions {
  const { tools, choice } = chosenTools(ask, format)
  const { schema, schemaName: name = 'response', schemaDescription: description, prefill } = ask
  if (formOf(ask) && choice === 'auto' && prefill !== undefined)
    throw new ChatError('prefill', 'an answer under a schema or another form cannot begin with a given text')
  return {
    thinking: ask.thinking,
    builtinTools: ask.builtinTools,
    identity: ask.identity,
    knowledgeCutoff: ask.knowledgeCutoff,
    currentDate: ask.currentDate,
    prefill,
    prefillReasoning: ask.prefillReasoning,
    tools: tools.length > 0 ? tools : undefined,
    toolChoice: tools.length > 0 ? choice : undefined,
    responseFormat: schema === undefined ? undefined : { name, description, schema },
  }
}

function mayThink({ capabilities: { reasoning } }: ChatFormat, thinking: Thinking | undefined): boolean {
  return reasoning !== 'never' && (reasoning !== 'switch' || thinking !== false)
}

/** The tools that may be called, and how. */
function chosenTools(ask: Ask, format: ChatFormat): { tools: readonly AskedTool[]; choice: 'auto' | 'required' | { name: string } } {
  const { tools = [], toolChoice = 'auto' } = ask
  const names = tools.map(({ name }) => name)
  for (const [i, name] of names.entries()) {
    const field = `${fieldOf(ask, i)}.name`
    if (typeof name !== 'string' || name === '') throw new ChatError(field, 'a tool needs a name')
    if (names.indexOf(name) < i) throw new ChatError(field, `two tools are called ${JSON.stringify(name)}; names must differ`)
  }
  if (toolChoice === 'none') return { tools: [], choice: 'auto' }
  if (tools.length > 0 && !format.capabilities.tools)
    throw new ChatError(
      'tools',
      `this model has no way to call tools; ask without tools${format.name === 'template' ? ', or load the model with genericTools (--generic-tools)' : ''}`,
      'tools_not_supported',
    )
  const known = (name: string) => {
    if (!names.includes(name)) throw new ChatError('toolChoice', `${JSON.stringify(name)} is not among the tools`)
  }
  if (typeof toolChoice === 'object' && 'allowed' in toolChoice) {
    toolChoice.allowed.forEach(known)
    const allowed = tools.filter(({ name }) => toolChoice.allowed.includes(name))
    return chosenTools({ ...ask, tools: allowed, toolChoice: toolChoice.mode }, format)
  }
  if (typeof toolChoice === 'object') known(toolChoice.name)
  else if (toolChoice === 'required' && tools.length === 0) throw new ChatError('toolChoice', '"required" needs at least one tool')
  return { tools, choice: toolChoice }
}

/** The name that errors use for a tool. */
function fieldOf({ tools = [], fields }: Ask, tool: string | number): string {
  const index = typeof tool === 'number' ? tool : tools.findIndex(({ name }) => name === tool)
  return fields?.tools?.[index] ?? `tools[${index}]`
}
