// Player: steps on both servers in lock step, what comes back compared. One batch goes to both at
// once; it is over when each has answered all of it, so that both decide in the same order.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "test/differential/side.h"
#include "test/differential/step.h"

namespace ottla::differential {

class Player {
 public:
  Player(int reference_port, int subject_port, Rules rules);

  // Steps of one place; false at a difference.
  bool play(const std::vector<Step>& batch);
  const std::string& difference() const { return difference_; }
  // The reference's answer to each request of the last batch, headers included; shorter when the
  // connection ended.
  const std::vector<std::string>& answers() const { return answers_; }
  bool has_connection(int place) const;
  bool has_session(int place) const;
  int64_t last_zxid() const { return sides_[0].last_zxid; }
  int64_t steps_played() const { return steps_; }
  double seconds_waited(int side) const { return waited_[side].count(); }

 private:
  using Lines = std::vector<std::string>;
  void start(Side& side, const Step& step);
  bool play_requests(const std::vector<Step>& batch);
  bool play_connection(const Step& step);
  bool play_first_bytes(const Step& step);
  bool compare_words();
  bool wait_for_replies(const std::vector<Step>& batch, Lines (&lines)[2], bool (&ended)[2]);
  bool take(Side& side, const std::vector<Step>& batch, size_t& replies, Lines& lines);
  bool wait_for_end(Side& side, Link& link, Lines& lines);
  bool compare(const std::vector<Step>& batch, Lines (&lines)[2]);
  void sort_events_of_closes(Lines& lines) const;
  void forget_connection(int place);
  void pump_all(Link* extra_a, Link* extra_b);

  Side sides_[2];
  std::vector<std::string> answers_;
  std::string difference_;
  std::set<int64_t> closes_;  // zxids of ended sessions
  int64_t steps_ = 0;
  std::chrono::duration<double> waited_[2] = {};  // for each side's answers
};

}  // namespace ottla::differential
