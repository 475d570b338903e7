/**
 * The wordings in which the embedded model is asked to calculate and to compare, in English, German and Chinese. E stands for an
 * expression, A, B and C for its numbers, N and M for names, T for things, P for places; _A is the
 * article. The wordings of the tests are others.
 */
import { pick, type Random } from '../../random/stream.ts'
import { type Expression, type Operator, operands, type Spelling, textOf } from './expression.ts'
import { inWords, type Language } from './number-words.ts'
import { casual, fill, lines } from './templates.ts'

/** Around any expression. */
const AROUND: Record<Language, string[]> = {
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

const SPELLINGS: Record<Language, Record<Operator, string>[]> = {
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
const NEGATIVE: Record<Language, string[]> = { en: ['minus ', 'negative '], de: ['minus '], zh: ['负'] }

/** Wordings of one operation on two numbers. */
const OF_TWO: Record<Language, Record<Operator, string[]>> = {
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
const OF_THREE: Record<Language, string[]> = {
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

export const STORIES: Record<Language, Record<Operator, string[]>> = {
  en: {
    '+': lines(`N has A T and {buys|gets|finds|wins|receives|collects} B more. How many T does N have {|now|in all|altogether}?
      N {has|owns|holds} A T and {buys|adds|makes|bakes|catches} B more. How many T are there {|now}?
      N has A T and finds B more. How many T are there now?
      N had A T and then {got|found|won|bought} B more. How many T does N have now?
      N has A T. M {gives|brings|sends} N B more. How many T does N have {|now}?
      There are A T in one box and B T in another. How many T are there?
      There are A T here and B T there. How many are there altogether?
      N has A T and M has B. How many T do they have together?
      N has A T and M has B T. How many do they have in total?
      N picked A T and M picked B T. How many T is that altogether?
      A T and B more T. How many T?
      I have A T and buy B more. How many T do I have?
      There were A T. B more came. How many T are there now?
      N {has|owns|keeps|had|owned|holds} A T. {N|He|She} {buys|gets|finds|wins|makes|collects|bought|got|found|won|made} B {more|more T}. How many T {does N have|does N have now|has N got|are there|is that}?
      {I|We} {have|had|own} A T and {get|find|win|make|collect|bought|got|found|won} B {more|more T|others}. How many T {do I have|do we have|do I have now|have I got now|are there|is that}?
      {There are|There were|I see|I saw|We saw|I count} A T {in|on|at|near} the P. {Then|Later|Now|} B {more|others|more T} {come|came|arrive|arrived|join|joined|are added|appear}. How many T {are there|are there now|are there in all|do I see}?
      A T {are|were|stand|sit|lie} {in|on|at|near} the P. B {more|others} {come|came|arrive|join them}. How many T {are there|are there now|is that}?
      N {found|saw|read|ate|made|sold|picked|wrote|baked|caught} A T {last week|in the morning|in May|first|before noon} and B {T|more} {this week|in the evening|in June|later|after noon}. How many T {is that|was that|are that altogether|did N get in all}?
      A {boys|men|red T|small T|old T} and B {girls|women|blue T|big T|new T} {are here|came|are in the P|stand at the P}. How many {are there|are they together|is that|are here}?
      N has A T {in the P|here} and B {T |}{in the P|at home|there}. How many T {does N have|is that|are there}?
      N needs A T and M needs B. How many T do they need?
      A T, then B more. How many T is that?`),
    '-': lines(`N has A T and {gives away|loses|sells|uses|eats|breaks|throws away} B {|of them}. How many T are left?
      N has A T and gives B to M. How many T does N have left?
      N had A T and {lost|sold|used|gave away|broke|spent} B. How many T does N have {now|left}?
      N had A T and {sold|ate|used up|lost} B. How many are left?
      N had A T and ate B of them. How many T are left?
      There were A T and N {took|ate|sold|used} B. How many T are left?
      There were A T. B of them are gone. How many T are left?
      N has A T and M has B. How many more T does N have?
      N has A T and M has B T. How many more does N have than M?
      I have A T and lose B. How many T do I have left?
      Of A T, B were broken. How many T are left?
      N {has|owns|keeps|had|owned|holds} A T. {N|He|She} {gives away|gave away|loses|lost|sells|sold|uses|ate|breaks|broke|spends|drops|burns} B{| of them| T}. How many T {are left|remain|does N have left|does N still have|does N have now|has N got now}?
      N {has|had} A T and {gives|gave|sold|lent|sent} B to {M|her brother|his mother|a friend|the P}. How many T {does N have|does N have now|are left|remain|does N keep}?
      {There are|There were|I see|I saw|We saw} A T {in|on|at|near} the P. B {of them |}{run away|leave|left|go|break|are eaten|are sold|are taken|get lost|disappear|fall down|went home|swim away}. How many T {are left|remain|stay|are still there|are there now}?
      A T {are|were|stand|sit|lie} {in|on|at|near} the P. B {of them |}{leave|left|run off|are taken|fall down|get lost|are gone}. How many T {are left|remain|stay}?
      {I|We} {have|had|own} A T and {lose|sell|eat|use|break|lost|sold|ate|used} B{| of them}. How many T {do I have left|do we have left|are left|remain|do I still have}?
      {_A|The|One|Our} P has A T and B {of them |}are {used|full|gone|broken|sold|closed}. How many {T |}are {left|not|still there}?
      N wants A T and has B. How many T {are missing|does N need|does N still need}?
      N needs A T and has only B. How many more T does N need?`),
    '*': lines(`There are A {boxes|bags|shelves|tables|rows|packs|baskets} with B T each. How many T are there?
      There are A boxes with B T in each box. How many T are there in total?
      N buys A bags of B T. How many T is that?
      N buys A bags with B T each. How many T does N have?
      N has A rows of B T. How many T does N have?
      {_A|Each|One|Every} box {holds|contains|has} B T. How many T are in A boxes?
      _A bag has B T. How many T are in A bags?
      Each box holds B T. How many T do A boxes hold?
      Every bag has B T and there are A bags. How many T are there?
      N needs B T a day. How many T does N need in A days?
      A children get B T each. How many T is that?
      A {people|men|women|boys|girls|workers|neighbours|teams|dogs|T} {have|get|buy|need|eat|hold|own|make|take|carry} B T each. How many T {are there|is that|is that in all|do they have}?
      {_A|The|One|Our} P has A {rows|rooms|floors|boxes|bags|tables} {with|of} B T{| each| on each| in each}. How many T {are there|is that|does it have}?
      {We|I|They} {buy|put|make|have|set|see|fill} A {rows|boxes|bags|piles|lines|stacks} {of|with} B T{| each}. How many T {are there|is that|do we have|are that in all}?
      N {writes|makes|eats|picks|buys|needs|sells} B T {every day|a day|each day|per day}. How many T {is that|are that} in A days?
      {Each|Every|One} {tray|bus|crate|jar|page|wall|team|basket|drawer|P} {has|holds|contains|carries} B T. How many T are {in|on} A of them?
      {Each|Every} T has B M. How many M do A T have?
      A {boxes|bags|trays|jars|rows|P} {hold|have|contain} B T each. How many T {are there|is that}?`),
  },
  de: {
    '+': lines(`N hat A T und {kauft|bekommt|findet|holt} B dazu. Wie viele T hat N {|jetzt}?
      N hat A T und bekommt noch B. Wie viele T hat N?
      N hat A T und M hat B. Wie viele T haben sie zusammen?
      Hier sind A T und dort B. Wie viele T sind es zusammen?
      N {hat|hatte|besitzt} A T. {N|Er|Sie} {kauft|bekommt|findet|holt|sammelt} {noch |}B{| T} dazu. Wie viele T {hat N|hat N jetzt|sind das|sind es nun}?
      {Ich habe|Wir haben} A T und {kaufe|bekomme|finde} {noch |}B. Wie viele T {habe ich|sind das|sind es jetzt}?
      {Auf|In|An|Bei} P {sind|stehen|liegen|sitzen} A T. B {kommen dazu|kommen hinzu|werden dazugelegt}. Wie viele T sind es {jetzt|nun|zusammen}?
      N findet am Morgen A T und am Abend B. Wie viele T sind das?`),
    '-': lines(`N hat A T und {gibt|wirft} B weg. Wie viele T {bleiben|hat N noch}?
      N hatte A T und {verlor|verkaufte|aß} B. Wie viele T hat N {jetzt|noch}?
      N hat A T und verkauft B. Wie viele T sind übrig?
      Von A T sind B weg. Wie viele T sind übrig?
      N {hat|hatte|besitzt} A T. {N|Er|Sie} {verliert|verkauft|isst|verschenkt|verbraucht} B{| davon}. Wie viele T {bleiben|bleiben übrig|hat N noch|hat N jetzt|sind es noch}?
      {Ich habe|Wir haben} A T und {verliere|verkaufe|esse} B. Wie viele T {bleiben|habe ich noch|sind übrig}?
      {Auf|In|An|Bei} P {sind|stehen|liegen|sitzen} A T. B {gehen weg|werden verkauft|fallen um|verschwinden|werden genommen}. Wie viele T {bleiben|sind noch da|sind übrig}?`),
    '*': lines(`Es gibt A Kisten mit je B T. Wie viele T sind das?
      In einer Kiste sind B T. Wie viele T sind in A Kisten?
      N kauft A Tüten mit je B T. Wie viele T sind das?
      A {Kinder|Leute|Männer|Frauen|Freunde} {haben|bekommen|kaufen|essen} je B T. Wie viele T sind das?
      {Jede|Eine} {Kiste|Tüte|Schachtel|Reihe} hat B T. Wie viele T haben A {davon|Kisten|Tüten|Schachteln|Reihen}?
      N isst jeden Tag B T. Wie viele T sind das in A Tagen?`),
  },
  zh: {
    '+': lines(`N有A个T，又{买|得到|拿来|收到}了B个，{现在|一共}有多少个T？
      N有A个T，M有B个T，一共有多少个T？
      这里有A个T，那里有B个，一共有多少个？
      {P上|P里|P边}有A{个|只|本|支}T，{又|后来}{来|放|飞来|加}了B{个|只|本|支}，{现在|一共}有多少{个|只|本|支}T？
      N有A{个|只|本|支}T，又{买|找到|捡到}了B{个|只|本|支}，{现在|一共}有几{个|只|本|支}？
      T有A只，M有B只，{一共|总共}有多少只？`),
    '-': lines(`N有A个T，给了M B个，还剩多少个T？
      N有A个T，{吃|用|卖|送}了B个，还{剩|有}多少个？
      有A个T，拿走了B个，还剩多少个？
      {P上|P里|P边}有A{个|只|本|支}T，{飞走|拿走|卖掉|跑掉|吃掉|借走}了B{个|只|本|支}，还{剩|有}{多少|几}{个|只|本|支}？
      N有A{个|只|本|支}T，{丢|用|卖|借出}了B{个|只|本|支}，{现在有|还剩}多少{个|只|本|支}T？`),
    '*': lines(`每个盒子有B个T，A个盒子一共有多少个T？
      有A个盒子，每个盒子有B个T，一共有多少个T？
      N买了A袋T，每袋B个，一共多少个？
      每{盒|袋|箱|排|组}有B{个|只|本|支}T，A{盒|袋|箱|排|组}{一共|总共}有多少{个|只|本|支}？
      A个人每人有B{个|只|本|支}T，一共有多少{个|只|本|支}T？`),
  },
}

interface Comparison {
  text: string
  answer: (a: number, b: number) => string
}
const larger = (same: string) => (a: number, b: number) => (a === b ? same : String(Math.max(a, b)))
const smaller = (same: string) => (a: number, b: number) => (a === b ? same : String(Math.min(a, b)))
const each = (texts: string, answer: Comparison['answer']): Comparison[] => lines(texts).map((text) => ({ text, answer }))

export const COMPARISONS: Record<Language, Comparison[]> = {
  en: [
    ...each(
      'Which is larger, A or B?\nWhich number is bigger: A or B?\nWhich is bigger, A or B?\nWhich is greater, A or B?\nWhich is more, A or B?\nWhat is larger, A or B?\nThe larger of A and B?\nA or B, which is larger?\nWhich of A and B is larger?\nWhich of A and B is the bigger one?\nWhat is the larger number: A or B?\nTell me which is larger, A or B.\nA or B: which is more?',
      larger('They are equal.'),
    ),
    ...each(
      'Which is smaller, A or B?\nWhich number is less: A or B?\nWhich is less, A or B?\nA or B, which is smaller?\nWhich of A and B is smaller?\nThe smaller of A and B?\nWhat is the smaller number: A or B?\nWhat is less, A or B?',
      smaller('They are equal.'),
    ),
    ...each(
      'Is A larger than B?\nIs A greater than B?\nIs A bigger than B?\nIs A more than B?\nIs A above B?\nIs A > B?\nis A > B?\nA > B?\nDo you think A is larger than B?',
      (a, b) => (a > b ? 'Yes.' : 'No.'),
    ),
    ...each('Is A less than B?\nIs A smaller than B?\nIs A below B?\nIs A < B?\nA < B?\nIs A fewer than B?', (a, b) =>
      a < b ? 'Yes.' : 'No.',
    ),
    ...each('Is A equal to B?\nAre A and B equal?\nAre A and B the same?\nIs A the same as B?', (a, b) => (a === b ? 'Yes.' : 'No.')),
    ...each('Compare A and B.\nCompare A with B', (a, b) => (a === b ? 'They are equal.' : `${Math.max(a, b)} is larger.`)),
  ],
  de: [
    ...each(
      'Was ist größer, A oder B?\nWelche Zahl ist größer: A oder B?\nWas ist mehr, A oder B?\nWelche ist größer, A oder B?\nA oder B, was ist größer?',
      larger('Sie sind gleich.'),
    ),
    ...each(
      'Was ist kleiner, A oder B?\nWelche Zahl ist kleiner: A oder B?\nA oder B, was ist kleiner?\nWas ist weniger, A oder B?',
      smaller('Sie sind gleich.'),
    ),
    ...each('Ist A größer als B?\nIst A mehr als B?', (a, b) => (a > b ? 'Ja.' : 'Nein.')),
    ...each('Ist A kleiner als B?', (a, b) => (a < b ? 'Ja.' : 'Nein.')),
  ],
  zh: [
    ...each('A和B哪个大？\nA和B哪个更大？\nA与B哪个数大？', larger('一样大。')),
    ...each('A和B哪个小？\nA和B哪个更小？', smaller('一样大。')),
    ...each('A比B大吗？', (a, b) => (a > b ? '是。' : '不是。')),
    ...each('A比B小吗？', (a, b) => (a < b ? '是。' : '不是。')),
  ],
}

const ROLES = {
  en: ['A farmer', 'The teacher', 'My sister', 'Grandma', 'The baker', 'A girl', 'My friend', 'The shop', 'He', 'She', 'Our class'],
  de: ['Der Bauer', 'Die Lehrerin', 'Oma', 'Opa', 'Mein Bruder', 'Ein Kind', 'Sie'],
}
export const NAMES: Record<Language, string[]> = {
  en: 'Tom Anna Ben Mia Leo Sara Paul Emma Max Lily Omar Nina Jack Zoe Ivan Ada Lisa Peter Maria John Kate Sam Lucy Alex Eva'
    .split(' ')
    .concat(ROLES.en),
  de: 'Anna Paul Mia Ben Lena Jonas Emma Karl Lisa Max Frieda Otto Greta Hans'.split(' ').concat(ROLES.de),
  zh: '小明 小红 小华 小李 小王 妈妈 爸爸 老师 丽丽'.split(' '),
}
/** Where things are. */
export const PLACES: Record<Language, string[]> = {
  en: 'table box garden yard tree street lake room shelf field river school barn kitchen wall bus train shop farm park house'.split(' '),
  de: 'dem Tisch|dem Baum|der Straße|dem See|der Schule|der Wand|dem Garten|dem Haus|der Wiese|der Stadt|der Küche|der Bank'.split('|'),
  zh: '树 桌子 书架 湖 河 院子 教室 盘子 车'.split(' '),
}
export const ITEMS: Record<Language, string[]> = {
  en: 'apples books coins stamps pens cards eggs nuts shells stones marbles cookies balls keys cows sheep cars cups flowers trees birds chairs pencils sweets toys tickets bottles oranges'.split(
    ' ',
  ),
  de: 'Äpfel Bücher Münzen Stifte Karten Eier Nüsse Muscheln Steine Bälle Kekse Schlüssel Blumen Kühe Autos'.split(' '),
  zh: '苹果 书 硬币 鸡蛋 橘子 球 糖 铅笔 杯子 花'.split(' '),
}

export const drawLanguage = (next: Random): Language => {
  const draw = next()
  return draw < 0.64 ? 'en' : draw < 0.83 ? 'de' : 'zh'
}

/** How numbers are written: digits, seldom words or leading zeros. */
export function drawNumbers(next: Random, language: Language): (n: number) => string {
  const draw = next()
  if (draw < 0.12) return inWords(language, draw < 0.04 ? ' ' : '-')
  return draw < 0.14 ? (n) => `${next() < 0.5 ? '0' : '00'}${n}` : String
}

/** What people say around a question. */
const BEFORE: Record<Language, string[]> = {
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
const AFTER: Record<Language, string[]> = {
  en: [', please', ' then', ' now', ', thank you', ', do you know?', ' exactly', ', I wonder', ' for me please', ', my friend'],
  de: [', bitte', ' dann', ' jetzt', ', danke', ', weißt du das?', ' genau'],
  zh: ['，谢谢', '，你知道吗', '呢', '呀', '，请回答'],
}

/** As people type: with a word before or after, with a capital first, without capitals, without the mark at the end. */
export function typed(next: Random, text: string, language: Language): string {
  let made = text
  if (next() < 0.08) made = `${pick(next, BEFORE[language])}${language === 'zh' ? '' : ' '}${made}`
  if (next() < 0.06) made = made.replace(/[?.!？。]?$/, (mark) => pick(next, AFTER[language]) + mark)
  if (next() < 0.3) made = made[0]!.toUpperCase() + made.slice(1)
  return casual(next, made)
}

/** A question for the value of an expression. */
export function ask(next: Random, expression: Expression, language: Language): string {
  const numbers = operands(expression)
  const plain = numbers.every((n) => n >= 0)
  const number = drawNumbers(next, language)
  const say = (wording: string, values: Readonly<Record<string, string>>) => typed(next, fill(wording, values), language)
  if (typeof expression !== 'number' && plain && next() < 0.35) {
    const [A, B, C] = numbers.map(number)
    if (numbers.length === 2) return say(pick(next, OF_TWO[language][expression.op]), { A: A!, B: B! })
    const isSum = numbers.length === 3 && expression.op === '+' && typeof expression.left !== 'number' && expression.left.op === '+'
    if (isSum) return say(pick(next, OF_THREE[language]), { A: A!, B: B!, C: C! })
  }
  const sign = pick(next, SPELLINGS[language])
  const words = /[a-z]/.test(sign['+'])
  const space = words || (language !== 'zh' && next() < 0.65) || sign['*'] === 'x' ? ' ' : ''
  const spelled = words || sign['+'].startsWith('加')
  const spelling: Spelling = { sign, space, number, negative: spelled && next() < 0.7 ? pick(next, NEGATIVE[language]) : '-' }
  return say(pick(next, AROUND[language]), { E: textOf(expression, spelling) })
}
