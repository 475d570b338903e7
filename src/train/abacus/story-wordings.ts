/**
 * The stories in which the embedded model finds two numbers, in English, German and Chinese. A and B stand for the numbers, N and M for names,
 * T for things, P for places; _A is the article. The stories of the tests are others.
 */
import type { Operator } from './expression.ts'
import type { Language } from './number-words.ts'
import { lines } from './templates.ts'

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
      A T, then B more. How many T is that?
      N is A years old. M is B years older. How old is M?
      N is A. M is B years older. How old is M?`),
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
      N needs A T and has only B. How many more T does N need?
      N is A years old. M is B years younger. How old is M?
      N {makes|bakes|brings|grows} A T and {sells|uses|eats} B. How many T are {not sold|left|left over}?
      {I|We} had A T, B {are|were} {sold|broken|lost|eaten}. How many {T |}are left?`),
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
      _A T has B legs. How many legs do A T have?
      One T has B wheels. How many wheels do A T have?
      Each T has B pages. How many pages are in A T?
      If A {people|children|boxes|T} have B T each, how many T {are there|is that}?
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
      N hat A T, {er|sie} {verliert|verkauft|verschenkt|isst} B. Wie viele {T |}hat {er|sie|N} noch?
      A T {liegen|sind|stehen} {im Korb|da|im Haus|auf dem Boden}. B werden {gegessen|genommen|verkauft}. Wie viele T {sind noch da|sind übrig|bleiben}?
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
