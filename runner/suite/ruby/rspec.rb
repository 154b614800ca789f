require_relative "events"
require "rspec/core"

# A formatter for RSpec. It shares its process with the tests.
class LoopFormatter
  RSpec::Core::Formatters.register self, :start, :example_started, :example_passed, :example_failed, :example_pending, :message, :dump_summary

  def initialize(_out)
    @dead = false
    LoopEvents.emit(k: "begin")
  end

  def start(notification)
    return LoopEvents.emit(k: "partial") if @dead # one file that does not load, and RSpec runs none
    RSpec.world.example_groups.flat_map(&:descendants).flat_map(&:filtered_examples).each { |e| LoopEvents.emit(k: "plan", **place(e)) }
    LoopEvents.emit(k: "none") if notification.count == 0
  end

  def example_started(notification)
    LoopEvents.emit(k: "start", **place(notification.example))
  end

  def example_passed(notification)
    over(notification.example, "pass")
  end

  def example_pending(notification)
    over(notification.example, "skip")
  end

  def example_failed(notification)
    e = notification.example
    error = e.execution_result.exception
    error = error.all_exceptions.first if error.respond_to?(:all_exceptions) && !error.all_exceptions.empty?
    over(e, "fail", **LoopEvents.thrown(error))
  end

  # What RSpec says of errors outside of examples has no event of its own.
  def message(notification)
    m = notification.message.to_s.gsub(/\e\[[\d;]*m/, "")
    if (load = m.match(/An error occurred while loading (\S+?)\.?(?:\s|$)/))
      @dead = true
      LoopEvents.emit(k: "load", file: File.expand_path(load[1]), message: LoopEvents.text(m))
    elsif m =~ /An error occurred (in|while)/
      LoopEvents.emit(k: "fault", name: LoopEvents.text(m.lines.map(&:strip).reject(&:empty?).first), message: LoopEvents.text(m))
      LoopEvents.emit(k: "stop")
    end
  end

  def dump_summary(summary)
    LoopEvents.emit(k: "stop") if RSpec.world.wants_to_quit && summary.errors_outside_of_examples_count == 0
    LoopEvents.emit(k: "end", n: summary.example_count)
  end

  private

  def place(e)
    { file: File.expand_path(e.metadata[:rerun_file_path] || e.file_path), name: e.full_description }
  end

  def over(e, state, **why)
    LoopEvents.emit(k: "case", state: state, ms: (e.execution_result.run_time || 0) * 1000, **why, **place(e))
  end
end
