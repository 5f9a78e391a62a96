-- no_transition: takes the transition's place where a message goes out that belongs to none.
return {"recorded", "next"}
