/**
 * The wordings in which the embedded model is asked to calculate and to compare, in English, German and Chinese. E stands for an
 * expression, A, B and C for its numbers. The wordings of the tests are others.
 */
import type { Operator } from './expression.ts'
import type { Language } from './number-words.ts'
import { lines } from './templates.ts'

/** Around any expression. */
export const AROUND: Record<Language, string[]> = {
  en: lines(`What is E?
    What is E?
    What's E?
    what is E
    whats E
    E
    E
    E=
    E = ?
    E =
    E?
    Calculate E.
    Calculate: E
    Compute E
    Compute E.
    Evaluate E
    Work out E.
    Solve E
    Solve E.
    Please calculate E.
    How much is E?
    how much is E
    How much does E make?
    What does E equal?
    What does E make?
    What do you get for E?
    What is the result of E?
    What is the value of E?
    What is the answer to E?
    Tell me E.
    Tell me what E is.
    Can you calculate E?
    Can you tell me what E is?
    Could you compute E for me?
    Do you know what E is?
    I need the result of E.
    Find E.
    E equals what?
    E makes?
    E is how much?
    Give me E.
    Quick: E
    Hello, what is E?
    Hi! What is E?
    So what is E then?
    My homework: E
    I want to know E.
    Can you solve E?
    Could you tell me what E equals?
    Please tell me E.
    Please give me the value of E.
    I would like to know what E is.
    Let us do E.
    Now E
    Try E.
    Figure out E.
    Determine E.
    Show me E.
    E gives what?
    E comes to what?
    What number is E?
    What comes out of E?
    What will E be?
    What would E be?
    What does E come to?
    Your turn: E
    Here is one: E
    The task is E.
    Question: what is E?
    How much would E be?`),
  de: lines(`Was ist E?
    Was ist E
    Wie viel ist E?
    Wieviel ist E?
    wie viel ist E
    Was ergibt E?
    Wie viel ergibt E?
    Was macht E?
    Wie viel macht E?
    Berechne E.
    Berechne E
    Rechne E.
    Rechne E aus.
    Rechne aus: E
    Bitte rechne E.
    Bitte berechne E.
    Was kommt bei E heraus?
    Was kommt raus bei E?
    Wie lautet das Ergebnis von E?
    Was ist das Ergebnis von E?
    Kannst du E ausrechnen?
    Kannst du mir sagen, was E ist?
    Sag mir E.
    Hallo, was ist E?
    E ist wie viel?
    E ergibt?
    E gleich?
    Wie viel wäre E?
    Was wäre E?
    Was gibt E?
    Wie viel gibt E?
    Bitte E ausrechnen.
    Ich möchte wissen, was E ist.
    Kannst du E berechnen?
    Weißt du, was E ist?
    Weißt du, wie viel E ist?
    Löse E.
    Sag, wie viel ist E?
    Jetzt E
    Die Aufgabe ist E.`),
  zh: lines(`E等于多少？
    E等于多少?
    E等于几？
    E是多少？
    E是多少
    E得多少？
    E=?
    E=？
    计算E
    计算E。
    请计算E
    请计算E。
    请问E等于多少？
    请问E是多少？
    算一下E
    帮我算E
    帮我算一下E
    E的结果是多少？
    E的结果是什么？
    E等于
    E
    你好，E等于多少？
    告诉我E是多少
    你知道E等于多少吗？
    能告诉我E是多少吗？
    能帮我算E吗？
    请告诉我E的结果
    求E的值
    求E
    E得几？
    那么E呢？`),
}

export const SPELLINGS: Record<Language, Record<Operator, string>[]> = {
  en: [
    { '+': '+', '-': '-', '*': '*' },
    { '+': '+', '-': '-', '*': '*' },
    { '+': '+', '-': '-', '*': '*' },
    { '+': '+', '-': '−', '*': '×' },
    { '+': '+', '-': '-', '*': 'x' },
    { '+': 'plus', '-': 'minus', '*': 'times' },
    { '+': 'plus', '-': 'minus', '*': 'times' },
    { '+': 'and', '-': 'less', '*': 'multiplied by' },
  ],
  de: [
    { '+': '+', '-': '-', '*': '*' },
    { '+': '+', '-': '-', '*': '·' },
    { '+': 'plus', '-': 'minus', '*': 'mal' },
    { '+': 'plus', '-': 'minus', '*': 'mal' },
    { '+': 'und', '-': 'weniger', '*': 'mal' },
  ],
  zh: [
    { '+': '+', '-': '-', '*': '*' },
    { '+': '+', '-': '-', '*': '×' },
    { '+': '加', '-': '减', '*': '乘' },
    { '+': '加', '-': '减', '*': '乘以' },
    { '+': '加上', '-': '减去', '*': '乘以' },
  ],
}

/** The sign of a negative number in words. */
export const NEGATIVE: Record<Language, string[]> = { en: ['minus ', 'negative '], de: ['minus '], zh: ['负'] }

/** Wordings of one operation on two numbers. */
export const OF_TWO: Record<Language, Record<Operator, string[]>> = {
  en: {
    '+': lines(`Add A and B.
      Add A and B
      Please add A and B.
      Add A to B.
      Add B to A
      What is the sum of A and B?
      Sum of A and B
      the sum of A and B
      What do A and B make?
      What do A and B make together?
      How much are A and B together?
      What is A and B together?
      A and B together
      A added to B
      What do you get when you add A and B?
      What do you get if you add B to A?
      Sum A and B
      Take A and add B.
      Start with A and add B.
      Increase A by B.
      What is B more than A?
      B more than A
      What is the total of A and B?
      Total of A and B?
      Put A and B together.
      I have A and get B more. How many is that?
      A and B added
      A and B in total
      A and B make what?
      Join A and B.
      Count A and B together.
      Can you add A and B?
      Could you add B to A?
      What is A raised by B?
      What is A with B added?
      If you add A and B, what is the result?
      When I add B to A, what comes out?
      What do I get by adding A and B?
      Tell me the sum of A and B.
      I need the sum of A and B.
      Find the sum of A and B.
      Give me A plus another B.
      How much is A and another B?`),
    '-': lines(`Subtract B from A.
      Subtract B from A
      Take B away from A.
      Take B from A.
      What is the difference between A and B?
      What is the difference of A and B?
      Difference between A and B
      How much is left if you take B from A?
      What is left when B is taken from A?
      What do you get when you subtract B from A?
      A take away B
      Take A and subtract B.
      Start with A and take away B.
      Decrease A by B.
      Reduce A by B.
      What is B less than A?
      B less than A
      B fewer than A
      How much more is A than B?
      By how much is A larger than B?
      I have A and lose B. How many are left?
      Remove B from A.
      A without B
      A reduced by B
      A, take away B
      B subtracted from A
      B taken from A
      Can you subtract B from A?
      Could you take B from A?
      What is A lowered by B?
      What is A with B taken away?
      What remains of A without B?
      If you take B from A, what is left?
      When I subtract B from A, what comes out?
      What do I get by subtracting B from A?
      Tell me the difference between A and B.
      Find the difference of A and B.
      How far is it from B to A?
      How much must I add to B to get A?
      How much bigger is A than B?`),
    '*': lines(`Multiply A by B.
      Multiply A and B.
      Multiply A by B
      Please multiply A with B.
      What is the product of A and B?
      the product of A and B
      Product of A and B?
      What do you get when you multiply A and B?
      What is A multiplied by B?
      How much is A times B?
      What do A times B make?
      A lots of B
      Take A and multiply it by B.
      Take B A times.
      A multiplied by B
      A times as much as B
      A groups of B
      Can you multiply A by B?
      Could you multiply A and B?
      Find the product of A and B.
      Tell me the product of A and B.
      I need the product of A and B.
      If you multiply A by B, what is the result?
      When I multiply A by B, what comes out?
      What do I get by multiplying A by B?
      Add B A times.`),
  },
  de: {
    '+': lines(`Addiere A und B.
      Addiere A zu B.
      Zähle A und B zusammen.
      Was ist die Summe von A und B?
      Was ist die Summe aus A und B?
      Die Summe von A und B
      Wie viel sind A und B zusammen?
      Was sind A und B zusammen?
      A und B zusammen
      Was ergeben A und B?
      Was machen A und B?
      Zähle B zu A dazu.
      Erhöhe A um B.
      Rechne A und B zusammen.
      A und B zusammengezählt
      A vermehrt um B
      Kannst du A und B addieren?
      Wenn ich A und B addiere, was kommt heraus?
      Nenne die Summe von A und B.`),
    '-': lines(`Subtrahiere B von A.
      Ziehe B von A ab.
      Zieh B von A ab
      Was ist die Differenz von A und B?
      Was ist die Differenz zwischen A und B?
      Was bleibt von A, wenn man B abzieht?
      Nimm B von A weg.
      Verringere A um B.
      Wie viel größer ist A als B?
      A ohne B
      A vermindert um B
      B von A abgezogen
      Kannst du B von A abziehen?
      Wenn ich B von A abziehe, was bleibt?
      Um wie viel ist A größer als B?
      Nenne die Differenz von A und B.`),
    '*': lines(`Multipliziere A mit B.
      Multipliziere A und B.
      Nimm A mal B.
      Was ist das Produkt von A und B?
      Was ist das Produkt aus A und B?
      Das Produkt von A und B
      Was ist A multipliziert mit B?
      A multipliziert mit B
      Kannst du A mit B multiplizieren?
      Wenn ich A mit B multipliziere, was kommt heraus?
      Nenne das Produkt von A und B.`),
  },
  zh: {
    '+': lines(`A和B的和是多少？
      A与B的和
      求A与B的和
      求A和B的和。
      A和B一共是多少？
      A和B加起来是多少？
      把A和B加起来
      A跟B相加等于多少？
      A和B相加
      A加上B得多少？
      A增加B是多少？
      比A多B的数是多少？
      A与B之和`),
    '-': lines(`A和B的差是多少？
      A与B的差
      求A与B的差
      从A中减去B
      A比B多多少？
      A比B大多少？
      A减去B还剩多少？
      A减少B是多少？
      比A少B的数是多少？
      A去掉B是多少？
      A与B之差`),
    '*': lines(`A和B的积是多少？
      A与B的积
      求A与B的积
      求A和B的乘积。
      A和B相乘等于多少？
      A乘以B是多少？
      A个B是多少？
      A的B倍
      A与B之积
      把A和B相乘`),
  },
}

/** Sums of three numbers. */
export const OF_THREE: Record<Language, string[]> = {
  en: lines(`Add A, B and C.
    Add A and B and C.
    What is the sum of A, B and C?
    Sum of A, B and C
    Add up A, B and C.
    Add up A B C
    What do A, B and C make?
    What do A, B and C make together?
    How much are A, B and C together?
    Total of A, B and C?
    What is the total of A, B, and C?
    A, B and C together
    A and B and C together
    A, B, C added
    Count A, B and C together.
    Can you add A, B and C?
    Find the sum of A, B and C.
    If you add A, B and C, what do you get?`),
  de: lines(`Addiere A, B und C.
    Was ist die Summe von A, B und C?
    Wie viel sind A, B und C zusammen?
    Zähle A, B und C zusammen.
    Was ergeben A, B und C zusammen?
    A, B und C zusammen
    Kannst du A, B und C addieren?
    Rechne A, B und C zusammen.`),
  zh: lines(`A、B和C的和是多少？
    求A、B与C的和
    A、B、C加起来是多少？
    把A、B和C加起来
    A、B、C相加`),
}

export interface Comparison {
  text: string
  answer: (a: number, b: number) => string
}

/** What is asked of two numbers A and B, one wording per line. */
interface Compared {
  /** For the larger one, or for the smaller one. */
  larger: string
  smaller: string
  /** To be answered with yes or no: whether A is larger, smaller, equal. */
  isLarger: string
  isSmaller: string
  equal?: string
  /** To be compared. */
  both?: string
}

const ANSWERS: Record<Language, { yes: string; no: string; same: string; larger: string }> = {
  en: { yes: 'Yes.', no: 'No.', same: 'They are equal.', larger: ' is larger.' },
  de: { yes: 'Ja.', no: 'Nein.', same: 'Sie sind gleich.', larger: ' ist größer.' },
  zh: { yes: '是。', no: '不是。', same: '一样大。', larger: '更大。' },
}

/** Wordings with their answers, in the order of `wordings`. */
export function comparisons(language: Language, wordings: Compared): Comparison[] {
  const { yes, no, same, larger } = ANSWERS[language]
  const answers: Record<keyof Compared, Comparison['answer']> = {
    larger: (a, b) => (a === b ? same : String(Math.max(a, b))),
    smaller: (a, b) => (a === b ? same : String(Math.min(a, b))),
    isLarger: (a, b) => (a > b ? yes : no),
    isSmaller: (a, b) => (a < b ? yes : no),
    equal: (a, b) => (a === b ? yes : no),
    both: (a, b) => (a === b ? same : `${Math.max(a, b)}${larger}`),
  }
  return Object.entries(wordings).flatMap(([kind, texts]) =>
    lines(texts).map((text) => ({ text, answer: answers[kind as keyof Compared] })),
  )
}

export const COMPARISONS: Record<Language, Comparison[]> = {
  en: comparisons('en', {
    larger: `Which is larger, A or B?
      Which number is bigger: A or B?
      Which is bigger, A or B?
      Which is greater, A or B?
      Which is more, A or B?
      What is larger, A or B?
      The larger of A and B?
      A or B, which is larger?
      Which of A and B is larger?
      Which is the larger number, A or B?
      The larger number: A or B?
      Which of A and B is the bigger one?
      What is the larger number: A or B?
      Tell me which is larger, A or B.
      A or B: which is more?`,
    smaller: `Which is smaller, A or B?
      Which number is less: A or B?
      Which is less, A or B?
      A or B, which is smaller?
      Which of A and B is smaller?
      Which is the smaller number, A or B?
      The smaller of A and B?
      What is the smaller number: A or B?
      What is less, A or B?`,
    isLarger: `Is A larger than B?
      Is A greater than B?
      Is A bigger than B?
      Is A more than B?
      Is A above B?
      Is A > B?
      is A > B?
      A > B?
      Do you think A is larger than B?`,
    isSmaller: `Is A less than B?
      Is A smaller than B?
      Is A below B?
      Is A < B?
      A < B?
      Is A fewer than B?`,
    equal: `Is A equal to B?
      Are A and B equal?
      Are A and B the same?
      Is A the same as B?`,
    both: `Compare A and B.
      Compare A with B`,
  }),
  de: comparisons('de', {
    larger: `Was ist größer, A oder B?
      Welche Zahl ist größer: A oder B?
      Was ist mehr, A oder B?
      Welche ist größer, A oder B?
      A oder B, was ist größer?`,
    smaller: `Was ist kleiner, A oder B?
      Welche Zahl ist kleiner: A oder B?
      A oder B, was ist kleiner?
      Was ist weniger, A oder B?`,
    isLarger: `Ist A größer als B?
      Ist A mehr als B?`,
    isSmaller: 'Ist A kleiner als B?',
  }),
  zh: comparisons('zh', {
    larger: `A和B哪个大？
      A和B哪个更大？
      A与B哪个数大？`,
    smaller: `A和B哪个小？
      A和B哪个更小？`,
    isLarger: 'A比B大吗？',
    isSmaller: 'A比B小吗？',
  }),
}

/** What people say around a question. */
export const BEFORE: Record<Language, string[]> = {
  en: [
    'Hello,',
    'Okay,',
    'Now',
    'Well,',
    'Please:',
    'One more:',
    'Excuse me,',
    'Good morning!',
    'So',
    'Then',
    'Right,',
    'Great!',
    'Good.',
    'Also',
    'Dear Abacus,',
    'Hello again!',
    'I wonder:',
    'For school:',
  ],
  de: ['Hallo,', 'Gut,', 'Jetzt', 'Also', 'Bitte:', 'Danke!', 'Noch eine:', 'Dann', 'Guten Tag!', 'Meine Frage:', 'Sag mal,'],
  zh: ['你好，', '请问', '好的，', '那么', '再问一个：', '谢谢！', '老师问：'],
}
export const AFTER: Record<Language, string[]> = {
  en: [', please', ' then', ' now', ', thank you', ', do you know?', ' exactly', ', I wonder', ' for me please', ', my friend'],
  de: [', bitte', ' dann', ' jetzt', ', danke', ', weißt du das?', ' genau'],
  zh: ['，谢谢', '，你知道吗', '呢', '呀', '，请回答'],
}
