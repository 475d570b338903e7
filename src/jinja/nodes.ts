/** The syntax tree of a template. */
import type { Value } from './values.ts'

export interface Arguments {
  args: Expression[]
  keywords: [name: string, value: Expression][]
  /** `*args` and `**kwargs`. */
  rest: Expression | undefined
  restKeywords: Expression | undefined
}

export type Expression =
  | { kind: 'const'; value: Value }
  | { kind: 'name'; name: string }
  | { kind: 'list' | 'tuple' | 'concat'; items: Expression[] }
  | { kind: 'dict'; pairs: [Expression, Expression][] }
  | { kind: 'unary'; operator: 'not' | '-' | '+'; of: Expression }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'compare'; first: Expression; rest: [operator: string, Expression][] }
  | { kind: 'choice'; test: Expression; yes: Expression; no: Expression | undefined }
  | { kind: 'attribute'; of: Expression; name: string }
  | { kind: 'item'; of: Expression; key: Expression }
  | { kind: 'slice'; bounds: (Expression | undefined)[] }
  | { kind: 'call'; of: Expression; given: Arguments }
  /** A filter without `of` takes the text of a block. */
  | { kind: 'filter'; of: Expression | undefined; name: string; given: Arguments }
  | { kind: 'test'; of: Expression; name: string; given: Arguments }

export type Target = { kind: 'name'; name: string } | { kind: 'field'; name: string; field: string } | { kind: 'tuple'; items: Target[] }

export interface Parameter {
  name: string
  otherwise: Expression | undefined
}

export type Statement =
  | { kind: 'data'; text: string }
  | { kind: 'output'; of: Expression }
  | { kind: 'set'; target: Target; value: Expression }
  | { kind: 'set-block'; target: Target; filter: Expression | undefined; body: Statement[] }
  | { kind: 'if'; branches: { test: Expression; body: Statement[] }[]; otherwise: Statement[] }
  | {
      kind: 'for'
      target: Target
      items: Expression
      test: Expression | undefined
      recursive: boolean
      body: Statement[]
      otherwise: Statement[]
    }
  | { kind: 'macro'; name: string; parameters: Parameter[]; body: Statement[] }
  | { kind: 'call-block'; parameters: Parameter[]; call: Expression; body: Statement[] }
  | { kind: 'filter-block'; filter: Expression; body: Statement[] }
  | { kind: 'with'; targets: [Target, Expression][]; body: Statement[] }
  /** `{% generation %}` and `{% block %}`: a scope of its own and nothing else. */
  | { kind: 'scope'; body: Statement[] }
  | { kind: 'break' | 'continue' }
