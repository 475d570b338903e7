/** How much a model may think: the efforts, switches and budgets of all APIs as the options of a chat format. */
import type { ChatFormat, RenderOptions } from '../chat/messages.ts'

export type ApiEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'

export interface Thinking {
  render: Pick<RenderOptions, 'effort' | 'thinking'>
  /** Whether the model may reason before it answers. */
  allowed: boolean
  /** The reasoning is not shown: asked for none, but the format cannot do without. */
  hidden: boolean
}

const levels = { none: 'low', minimal: 'low', low: 'low', medium: 'medium', high: 'high', xhigh: 'high', max: 'high' } as const

/**
 * @param effort level asked for, if any
 * @param enabled a plain switch (`enable_thinking`, Ollama's `think`), if given; formats with levels ignore it
 */
export function thinkingFor(format: ChatFormat, effort: ApiEffort | undefined, enabled: boolean | undefined): Thinking {
  switch (format.capabilities.reasoning) {
    case 'levels':
      return { render: effort ? { effort: levels[effort] } : {}, allowed: true, hidden: effort === 'none' }
    case 'switch': {
      const on = enabled ?? effort !== 'none'
      return { render: { thinking: on }, allowed: on, hidden: false }
    }
    case 'always':
      return { render: {}, allowed: true, hidden: effort === 'none' || enabled === false }
    case 'never':
      return { render: {}, allowed: false, hidden: false }
  }
}
