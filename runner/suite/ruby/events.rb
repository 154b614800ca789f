# Writes events for the harness: lines with a nonce that the tests do not know, a
# running number, and JSON, on a copy of the standard output that the process was
# born with.
require "json"

module LoopEvents
  OUT = STDOUT.dup
  MOST = 8192
  @number = 0
  @pid = Process.pid

  def self.emit(event)
    return if Process.pid != @pid # a fork of the tests
    OUT.syswrite("\n@NONCE@ #{@number} #{JSON.generate(event.compact)}\n")
    @number += 1
  end

  def self.thrown(error)
    {
      type: error.class.name, code: error.class.ancestors.grep(Class).map(&:name).join(", "),
      message: text(error.message), stack: text(([error.class.name + ": " + error.message.to_s] + Array(error.backtrace)).join("\n")),
    }
  end

  def self.text(s)
    s.to_s.dup.force_encoding("UTF-8").scrub[0, MOST]
  end
end
