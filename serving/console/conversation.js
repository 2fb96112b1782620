// The questions and answers of this tab, in order. A follow-up sends the last of them.

const TURNS = 10; // the gateway reads the last turns only
const CHARACTERS = 2000; // of a question, and of an answer

const cut = (text) => [...text].slice(0, CHARACTERS).join(""); // by characters: half of one is no text

export class Conversation {
  turns = [];

  add(question, answer) {
    this.turns.push({ question, answer });
  }

  clear() {
    this.turns = [];
  }

  /** The `history` of the next question. */
  history() {
    return this.turns.slice(-TURNS).map(({ question, answer }) => ({ question: cut(question), answer: cut(answer) }));
  }
}
